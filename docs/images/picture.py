#!/usr/bin/env python3
"""picture.py COLUMNS OUT.svg COMMAND...: what a command prints on a terminal of that width, as a picture.

    make picture

The text is text, so that it can be searched, and a test compares its words with what the command prints.
"""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from html import escape

SIZE, ADVANCE, LINE, EDGE = 14, 8.43, 19, 18
COLOURS = {"31": "#ff7b72", "32": "#7ee787", "33": "#e3b341", "36": "#79c0ff"}
FORE, FAINT, BACK = "#e6edf3", "#9198a1", "#0d1117"


def printed(columns: int, command: list[str]) -> str:
    """Standard output of the command on a terminal; standard error is left out."""
    mine, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environment = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "HOME": "/nonexistent"}
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=its, stderr=subprocess.DEVNULL, env=environment)
    os.close(its)
    text = b""
    while True:
        try:
            part = os.read(mine, 65536)
        except OSError:  # Linux says so when nobody holds the other end any more.
            break
        if not part:
            break
        text += part
    if process.wait() != 0:
        sys.exit(f"{command} ended with {process.returncode}")
    return text.decode().replace("\r\n", "\n")


def spans(line: str) -> str:
    """One line's parts, each in its colour and weight, and at its own column."""
    out, colour, bold, faint, column = [], FORE, False, False, 0
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        code = re.fullmatch(r"\x1b\[([0-9;]*)m", part)
        if code:
            for number in (code[1] or "0").split(";"):
                if number in ("0", ""):
                    colour, bold, faint = FORE, False, False
                elif number == "1":
                    bold = True
                elif number == "2":
                    faint = True
                else:
                    colour = COLOURS.get(number, colour)
            continue
        # Spaces in a row are one in a picture: each word stands at its own place.
        for word in re.finditer(r"\S+(?: \S+)*", part):
            x = EDGE + ADVANCE * (column + word.start())
            fill = FAINT if faint and colour == FORE else colour
            weight = ' font-weight="bold"' if bold else ""
            length = f'textLength="{ADVANCE * len(word[0]):.1f}"'
            out.append(f'<tspan x="{x:.1f}" {length} fill="{fill}"{weight}>{escape(word[0], quote=False)}</tspan>')
        column += len(part)
    return " ".join(out)


def picture(columns: int, command: list[str], text: str) -> str:
    # What a flag is given is of no account here.
    flags = [f"{word} …" for word in command[2:] if word.startswith("--") and word != "--now"]
    lines = [" ".join(["$ brimful", command[1], *flags]), *text.rstrip("\n").split("\n")]
    width, height = 2 * EDGE + ADVANCE * columns, 2 * EDGE + LINE * len(lines)
    rows = [
        f'<text y="{EDGE + SIZE + LINE * index}">{spans(line)}</text>' for index, line in enumerate(lines) if line.strip()
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img">',
            f'<rect width="100%" height="100%" rx="8" fill="{BACK}"/>',
            f'<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="{SIZE}">',
            *rows,
            "</g>",
            "</svg>",
            "",
        ]
    )


if __name__ == "__main__":
    columns, out, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    with open(out, "w", encoding="utf-8") as file:
        file.write(picture(columns, command, printed(columns, command)))
