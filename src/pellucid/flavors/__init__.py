"""What may cross the wire, and how: flavors, the registry of classes, and the policy of types."""
