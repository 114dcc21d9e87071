"""Where quotes come from: whatever has a ``getQuote``."""

import random
from pathlib import Path


class StaticQuoter:
    """Knows one quote."""

    def __init__(self, quote):
        self.quote = quote

    def getQuote(self):
        return self.quote


class FortuneQuoter:
    """Chooses from the quotes of some files, where a line with nothing but a percent sign stands between two."""

    def __init__(self, filenames):
        texts = (f"\n{Path(name).read_text('utf-8')}\n" for name in filenames)
        quotes = [quote.strip() for text in texts for quote in text.split("\n%\n")]
        self.quotes = [quote for quote in quotes if quote]
        if not self.quotes:
            raise ValueError(f"there is no quote in {', '.join(filenames)}")

    def getQuote(self):
        return random.choice(self.quotes)
