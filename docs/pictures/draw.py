"""Draws the pictures of the pages, as SVG that is legible in light and in dark: run `make pages`.

Each picture paints its own paper, so that it can be read on whatever page it lies, also where a reader's system and the
page's own switch disagree on light and dark.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path

FOLDER = Path(__file__).parent
WIDTH = 760

STYLE = """
    .paper { fill: #ffffff; stroke: #d1d9e0 }
    .box { fill: #f3f5f7; stroke: #b8c0c8 }
    .door { fill: #dcebf7; stroke: #1b6ca8 }
    .band { fill: #f3f5f7 }
    .unknown { fill: #fbe9d0 }
    .known { fill: #dff1e6 }
    .line { stroke: #7b858f; fill: none }
    .arrow { stroke: #1b6ca8; fill: none; stroke-width: 1.5 }
    .head { fill: #1b6ca8 }
    .dashed { stroke-dasharray: 4 4 }
    text { fill: #1f2328; font: 13px system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif }
    .soft { fill: #56606a }
    .small { font-size: 12px }
    .bold { font-weight: 600 }
    .code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: 12px }
    .middle { text-anchor: middle }
    .end { text-anchor: end }
    .number { fill: #ffffff; font-size: 12px; font-weight: 600 }
    @media (prefers-color-scheme: dark) {
        .paper { fill: #14181c; stroke: #3a424a }
        .box { fill: #22282e; stroke: #56606a }
        .door { fill: #143049; stroke: #5aa9e6 }
        .band { fill: #1c2126 }
        .unknown { fill: #45331a }
        .known { fill: #1b3a29 }
        .line { stroke: #8a949e }
        .arrow { stroke: #5aa9e6 }
        .head { fill: #5aa9e6 }
        text { fill: #e6e9ec }
        .soft { fill: #a4adb6 }
        .number { fill: #14181c }
    }
"""


class Picture:
    """Shapes, in the order in which they are drawn, and what they show in words."""

    def __init__(self, height: int, title: str) -> None:
        self.height = height
        self.title = title
        self.shapes: list[str] = []

    def box(self, x: float, y: float, width: float, height: float, kind: str = "box", radius: int = 4) -> None:
        """A rectangle."""
        self.shapes.append(f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="{radius}"/>')

    def text(self, x: float, y: float, text: str, kind: str = "") -> None:
        """A line of text; `y` is its base line."""
        self.shapes.append(f'<text class="{kind}" x="{x}" y="{y}">{escape(text, quote=False)}</text>')

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str = "line") -> None:
        """A straight line."""
        self.shapes.append(f'<path class="{kind}" d="M{x1} {y1}L{x2} {y2}"/>')

    def arrow(self, x1: float, y1: float, x2: float, y2: float) -> None:
        """A line with a head at its end."""
        length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
        along, across = (x2 - x1) / length, (y2 - y1) / length
        foot_x, foot_y = x2 - 9 * along, y2 - 9 * across
        corners = " ".join(
            f"{x2 if not side else foot_x + side * across:.1f},{y2 if not side else foot_y - side * along:.1f}"
            for side in (0, 4, -4)
        )
        self.line(x1, y1, round(foot_x, 1), round(foot_y, 1), "arrow")
        self.shapes.append(f'<polygon class="head" points="{corners}"/>')

    def disc(self, x: float, y: float, text: str) -> None:
        """A number in a circle."""
        self.shapes.append(f'<circle class="head" cx="{x}" cy="{y}" r="9"/>')
        self.text(x, y + 4, text, "number middle")

    def svg(self) -> str:
        """The whole file."""
        size = f'width="{WIDTH}" height="{self.height}" viewBox="0 0 {WIDTH} {self.height}"'
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
                f"<title>{escape(self.title, quote=False)}</title>",
                f"<style>{STYLE}</style>",
                f'<rect class="paper" x="0.5" y="0.5" width="{WIDTH - 1}" height="{self.height - 1}" rx="6"/>',
                *self.shapes,
                "</svg>",
                "",
            ]
        )


def layers() -> Picture:
    """The packages of pellucid as a building whose floors import what is below them."""
    picture = Picture(508, "The layers of pellucid")

    def part(x: int, y: int, width: int, name: str, about: str, kind: str = "box", height: int = 42) -> None:
        picture.box(x, y, width, height, kind)
        picture.text(x + 12, y + height / 2 - 3, name, "code bold")
        picture.text(x + 12, y + height / 2 + 14, about, "small soft")

    left, right, gap = 66, 724, 10
    half = (right - left - gap) // 2
    part(left, 20, 152, "cli", "the command")
    part(left + 162, 20, 272, "pytest_plugin", "fixtures for tests of applications")
    part(left, 72, 152, "blocking", "for code that blocks")
    part(left + 162, 72, 272, "testing", "simulated worlds, pairs in memory")
    part(left, 124, 434, "asyncio", "a door, which import pellucid shows: loop, sockets, TLS, tasks", "door")
    part(left + 444, 20, 214, "", "", "door", height=146)
    picture.text(left + 456, 88, "twisted", "code bold")
    picture.text(left + 456, 105, "a door with PB's names:", "small soft")
    picture.text(left + 456, 121, "reactor, Deferreds, Failures", "small soft")
    picture.line(left - 46, 187, right, 187, "line dashed")
    picture.text(
        left, 206, "bytes in, events out: no I/O, no clock, no threads, no randomness, no logging", "small soft"
    )
    part(left, 220, half, "core", "the broker: calls, answers, tables, counts")
    part(left + half + gap, 220, half, "auth", "portals, checkers, the login exchange")
    part(left, 272, right - left, "wire", "dialects, messages to bytes and back: native · pb, none")
    part(left, 324, right - left, "flavors", "what may cross, and how: flavors, registry, policy")
    part(left, 376, half, "limits", "how much a peer may ask for")
    part(left + half + gap, 376, half, "urls", "where to listen, or to connect")
    part(left, 428, right - left, "errors", "every exception; imports nothing of ours")
    picture.arrow(34, 206, 34, 470)
    picture.line(34, 20, 34, 206, "arrow")
    picture.shapes.append('<text class="small soft middle" transform="translate(24 330) rotate(-90)">imports</text>')
    picture.text(
        left,
        493,
        "What stands beside another does not import it. blocking, testing and cli use the asyncio door.",
        "small soft",
    )
    return picture


def call() -> Picture:
    """What becomes of a call, from where it is made to its result; the numbers are those of the page's list."""
    picture = Picture(496, "The way of a call")
    program, door, broker, its_broker, its_door, its_object = lanes = range(72, 760, 123)
    for left, right, side in (program, broker, "the caller's side"), (its_broker, its_object, "the callee's side"):
        picture.box(left - 58, 36, right - left + 116, 444, "band")
        picture.text((left + right) / 2, 26, side, "bold middle")
    names = ("your program", "door", "broker", "broker", "door", "your object")
    abouts = (
        "calls and awaits",
        "asyncio, Twisted",
        "and its dialect",
        "and its dialect",
        "asyncio, Twisted",
        "has the method",
    )
    for x, name, about in zip(lanes, names, abouts, strict=True):
        picture.box(x - 54, 46, 108, 40, "door" if name == "door" else "box")
        picture.text(x, 63, name, "small bold middle")
        picture.text(x, 79, about, "small soft middle")
        picture.line(x, 86, x, 472, "line dashed")
    steps = [
        (1, program, door, "call(…)", "code"),
        (0, door, broker, "with a promise", "small"),
        (2, broker, its_broker, "a numbered call", "small"),
        (3, its_broker, its_door, "what to run", "small"),
        (4, its_door, its_object, "remote_…(…)", "code"),
        (0, its_object, its_door, "return, raise", "small"),
        (0, its_door, its_broker, "how it ended", "small"),
        (5, its_broker, broker, "its answer", "small"),
        (0, broker, door, "by its number", "small"),
        (0, door, program, "result or error", "small"),
    ]
    for y, (number, start, end, label, kind) in zip(range(122, 480, 37), steps, strict=False):
        picture.arrow(start, y, end, y)
        picture.text((start + end) / 2, y - 7, label, f"{kind} middle")
        if number:
            picture.disc(start, y, str(number))
    for y in (122 + 2 * 37, 122 + 7 * 37):
        picture.text((broker + its_broker) / 2, y + 16, "bytes", "small soft middle")
    return picture


def lost() -> Picture:
    """What is known of a call when its connection is lost, at each moment of its life."""
    picture = Picture(426, "What is known of a call when its connection is lost")
    left, caller, callee = 16, 330, 650
    bands = [
        (
            48,
            76,
            "known",
            "PBConnectionLost, sent is False",
            "The request is still here, and the|method has not run: call again.",
        ),
        (
            150,
            158,
            "unknown",
            "PBConnectionLost, sent is True",
            "Nobody on this side can tell:|it was lost, or the method runs,|or it has run and the answer|was lost.",
        ),
        (
            334,
            76,
            "known",
            "The result, or the error",
            "The call is over. Those made after|that raise DeadReferenceError.",
        ),
    ]
    for y, height, kind, heading, words in bands:
        picture.box(left, y, WIDTH - 2 * left, height, kind)
        picture.text(left + 14, y + 26, heading, "small bold")
        for number, line in enumerate(words.split("|")):
            picture.text(left + 14, y + 48 + 18 * number, line, "small")
    picture.text(left + 14, 30, "If the connection is lost meanwhile:", "small soft")
    for x, name in (caller, "caller"), (callee, "callee"):
        picture.text(x, 30, name, "bold middle")
        picture.line(x, 40, x, 414, "line dashed")

    def moment(x: int, y: int, text: str) -> None:
        picture.shapes.append(f'<circle class="head" cx="{x}" cy="{y}" r="4"/>')
        picture.text(x + 14, y + 4, text, "small")

    moment(caller, 76, "the call is made")
    moment(caller, 137, "handed to the transport")
    picture.arrow(caller, 166, callee, 190)
    picture.text((caller + callee) / 2 + 20, 169, "request", "small middle")
    picture.box(callee - 6, 196, 12, 60, "door", radius=2)
    picture.text(callee - 16, 228, "the method runs", "small end")
    picture.arrow(callee, 264, caller, 290)
    picture.text((caller + callee) / 2 + 20, 269, "answer", "small middle")
    moment(caller, 321, "the answer is read")
    return picture


def receipts() -> Picture:
    """How receipts are counted while messages cross."""
    picture = Picture(470, "Receipts of one object, counted at both ends")
    owner, holder = 250, 510
    for x, name, about in (owner, "owner", "export table"), (holder, "holder", "import table"):
        picture.box(x - 60, 18, 120, 40)
        picture.text(x, 35, name, "small bold middle")
        picture.text(x, 51, about, "small soft middle")
        picture.line(x, 58, x, 456, "line dashed")

    def counted(x: int, y: int, count: str, words: str) -> None:
        picture.disc(x, y, count)
        picture.text(x + (-18 if x == owner else 18), y + 4, words, "small end" if x == owner else "small")

    def sends(start: int, y1: int, end: int, y2: int, text: str, place: tuple[float, float] | None = None) -> None:
        near = 11 if end > start else -11
        picture.arrow(start + near, y1, end - near, y2)
        x, y = place or ((start + end) / 2, (y1 + y2) / 2 - 8)
        picture.text(x, y, text, "small middle")

    counted(owner, 90, "1", "sent for the first time: exported")
    sends(owner, 90, holder, 108, "the object")
    counted(holder, 108, "1", "a new reference")
    counted(owner, 148, "2", "sent once more")
    sends(owner, 148, holder, 166, "the object")
    counted(holder, 166, "2", "the same reference")
    picture.text(owner - 18, 230, "meanwhile", "small soft end")
    counted(holder, 214, "0", "dropped: gives back both")
    counted(owner, 252, "3", "sent a third time")
    sends(holder, 214, owner, 300, "release of 2", (424, 216))
    sends(owner, 252, holder, 316, "the object", (310, 249))
    counted(owner, 300, "1", "not forgotten: one is on its way")
    counted(holder, 316, "1", "a new reference")
    counted(holder, 382, "0", "dropped")
    sends(holder, 382, owner, 400, "release of 1")
    counted(owner, 400, "0", "forgotten")
    return picture


PICTURES: dict[str, Callable[[], Picture]] = {"layers": layers, "call": call, "lost": lost, "receipts": receipts}


if __name__ == "__main__":
    for name, draw in PICTURES.items():
        (FOLDER / f"{name}.svg").write_text(draw().svg(), encoding="utf-8")
