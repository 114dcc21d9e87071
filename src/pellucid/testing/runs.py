"""Running a scenario for many seeds."""

from __future__ import annotations

import functools
import gc
import inspect
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from pellucid.testing.world import World

__all__ = ["for_each_seed", "simulated"]


WORLDS_A_COLLECTION = 100
"""How many worlds may lie around: while one runs, Python collects nothing of those before."""


def for_each_seed(seeds: Iterable[int], scenario: Callable[[World], Awaitable[Any]], **options: Any) -> None:
    """Run `scenario` in a world of each seed, until one fails; `options` are those of `World`.

    Raises:
        Whatever the scenario raises first, with a note that names the seed.
    """
    for number, seed in enumerate(seeds, 1):
        World(seed, **options).run(scenario)
        if number % WORLDS_A_COLLECTION == 0:
            gc.collect()


def simulated(
    seeds: int | Iterable[int] = 100, **options: Any
) -> Callable[[Callable[..., Awaitable[Any]]], Callable[..., None]]:
    """Decorate a test, ``async def test_...(world)``: it is run in a world of each seed.

    `seeds` are those, or how many, from 0 on. Other parameters of the test stay what they are, such as fixtures of
    pytest; where it is a method, `world` comes after `self`. `options` are those of `World`.

    Raises:
        TypeError: it has no parentheses, or the test has no parameter.
    """
    if callable(seeds):
        raise TypeError("simulated has parentheses: write @simulated(), or @simulated(seeds=50)")
    chosen = range(seeds) if isinstance(seeds, int) else list(seeds)

    def decorate(test: Callable[..., Awaitable[Any]]) -> Callable[..., None]:
        of_test = inspect.signature(test)
        others = list(of_test.parameters.values())
        if not others:
            raise TypeError(f"a simulated test is given its world: write async def {test.__name__}(world)")
        place = 1 if others[0].name == "self" else 0
        del others[place]

        @functools.wraps(test)
        def run(*args: Any, **kwargs: Any) -> None:
            for_each_seed(chosen, lambda world: test(*args[:place], world, *args[place:], **kwargs), **options)

        run.__signature__ = of_test.replace(parameters=others, return_annotation=None)  # type: ignore[attr-defined]
        return run

    return decorate
