"""The dialects of Perspective Broker: banana carries jelly."""
