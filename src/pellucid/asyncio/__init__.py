"""The asyncio door: what ``import pellucid`` shows."""
