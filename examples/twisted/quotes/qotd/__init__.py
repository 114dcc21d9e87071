"""Quotes of the day: where they come from, the two protocols that tell them, and the service that does both."""
