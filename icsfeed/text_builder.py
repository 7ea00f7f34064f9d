"""Plain text, built line by line from the elements of a document that html_text.py reads."""

import re
from functools import lru_cache

from icsfeed.text import MENTION, grapheme_start, is_blank

TEXT_LIMIT = 6_000
"""Characters of plain text, before names are filled in. A calendar shows 1,500."""

_MAX_LEVELS = 9
"""Levels of lists and quotes that are shown."""


class TextBuilder:
    """Collects lines. `_line` is the current one, `_lead` is put before it and ends with `_bullet`.

    `code`: the open elements whose white space is kept.
    `_lists`: for each open list the number of its next item; None: its items have bullets.
    `_cells`: those of the open row; None outside of one.
    Each method for an element takes what the element's attributes say: most need nothing.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._line = self._lead = self._bullet = self._link = ""
        self._lists: list[int | None] = []
        self._spans: list[str] = []
        self._cells: int | None = None
        self._quotes = self.code = 0
        self._link_from = self._struck = self._struck_from = self._size = 0

    def text(self) -> str:
        """Return all lines, with at most one empty line in a row, and at most TEXT_LIMIT characters."""
        self._end_line()
        text = "\n".join(self._lines).strip("\n")
        if "\n\n\n" in text:
            text = re.sub(r"\n{3,}", "\n\n", text)
        if len(text) > TEXT_LIMIT:
            text = text[: grapheme_start(text, TEXT_LIMIT)]
            if text.count(MENTION) % 2:  # cut inside a mention
                text = text[: text.rindex(MENTION)]
        return text

    def words(self, words: str) -> bool:
        """Add words; newlines are for code only. Return whether there is space for more."""
        if self.code:
            first, *others = words.split("\n")
            self._line += first
            for line in others:
                self._end_line(keep_empty=True)
                self._line = line
        elif self._line and self._line[-1] != " ":
            self._line += words
        else:
            self._line += words.lstrip()
        return self._size + len(self._line) <= TEXT_LIMIT

    def block(self, _: str = "") -> bool:
        """Begin or end a block. Return False in a table cell: its blocks stay on the line of the row."""
        if self._cells:
            if self._line and self._line[-1] != " ":
                self._line += " "
            return False
        if self._line:
            self._end_line()
        return True

    def line_break(self, _: str) -> None:
        """End a line, which may be empty."""
        self._end_line(keep_empty=True)

    def heading(self, _: str) -> None:
        """Begin a heading, with an empty line before it."""
        if self.block() and self._lines:
            self._lines.append("")

    def rule(self, _: str) -> None:
        """Add a horizontal line."""
        if self.block():
            self._lines.append("---")

    def open_list(self, start: str) -> None:
        """Begin a list: `start` is the number of its first item, empty for bullets."""
        if self.block():
            self._lists.append(int(start) if start else None)
            self._set_lead()

    def close_list(self, _: str) -> None:
        """End a list."""
        if self.block() and self._lists:
            self._lists.pop()
            self._set_lead()

    def item(self, box: str) -> None:
        """Begin an item of a list: with the box of a task, or with its number or bullet."""
        if self.block():
            number = self._lists[-1] if self._lists and not box else None
            self._bullet = box or ("- " if number is None else f"{number}. ")
            if number is not None:
                self._lists[-1] = number + 1
            self._set_lead()

    def open_quote(self, _: str) -> None:
        """Begin a quote."""
        if self.block():
            self._quotes += 1
            self._set_lead()

    def close_quote(self, _: str) -> None:
        """End a quote."""
        if self.block():
            self._quotes = max(0, self._quotes - 1)
            self._set_lead()

    def open_code(self, _: str) -> None:
        """Begin text whose white space is kept."""
        if self.block():
            self.code += 1

    def close_code(self, _: str) -> None:
        """End text whose white space is kept."""
        if self.block():
            self.code = max(0, self.code - 1)

    def open_row(self, _: str) -> None:
        """Begin a row of a table, which is one line."""
        self._end_line()
        self._cells = 0

    def close_row(self, _: str) -> None:
        """End a row of a table."""
        self._end_line()
        self._cells = None

    def cell(self, _: str) -> None:
        """Begin a cell, with a bar between it and the one before."""
        if self._cells is None:
            self.block()
        else:
            self._line = self._line.rstrip() + (" | " if self._cells else "")
            self._cells += 1

    def mention(self, person: str) -> None:
        """Add a person's id, for `with_names`."""
        self._line += f"{MENTION}{person}{MENTION}"

    def open_link(self, address: str) -> None:
        """Begin a link; `address` is empty where it is not shown."""
        self._link, self._link_from = address, len(self._line)

    def close_link(self, _: str) -> None:
        """End a link: add its address, where that says more than its text."""
        address, self._link = self._link, ""
        shown = self._line[self._link_from :].strip()
        if not shown:
            self._line += address
        elif address and address.removeprefix("mailto:").rstrip("/") != shown.rstrip("/"):
            self._line = f"{self._line.rstrip()} ({address})"

    def open_struck(self, _: str) -> None:
        """Begin text that is struck out."""
        self._struck_from = self._struck_from if self._struck else len(self._line)
        self._struck += 1

    def close_struck(self, _: str) -> None:
        """End text that is struck out."""
        if self._struck == 1:
            self._mark_struck()
        self._struck = max(0, self._struck - 1)

    def open_span(self, struck: str) -> None:
        """Begin a span: it is struck out unless `struck` is empty."""
        self._spans.append(struck)
        if struck:
            self.open_struck("")

    def close_span(self, _: str) -> None:
        """End a span, and what it has struck out."""
        if self._spans and self._spans.pop():
            self.close_struck("")

    def _set_lead(self) -> None:
        self._lead = _lead(self._quotes, len(self._lists), self._bullet)

    def _mark_struck(self) -> None:
        head, struck = self._line[: self._struck_from], self._line[self._struck_from :]
        shown = struck.strip()
        if not is_blank(shown):
            self._line = head + struck.replace(shown, f"~~{shown}~~", 1)

    def _end_line(self, keep_empty: bool = False) -> None:
        if self._struck:  # Each line has its own marks: bullets and quote signs stay outside of them.
            self._mark_struck()
        self._struck_from = self._link_from = 0
        line = self._line.rstrip()
        self._line = ""
        if line or keep_empty:
            self._size += len(line)
            self._lines.append(self._lead + line if line else self._lead.rstrip())
            if self._bullet:
                self._bullet = ""
                self._set_lead()


@lru_cache(maxsize=256)
def _lead(quotes: int, lists: int, bullet: str) -> str:
    """Return what is put before a line at these levels."""
    indent = "  " * min(lists - 1, _MAX_LEVELS)
    return "> " * min(quotes, _MAX_LEVELS) + indent + (bullet or ("  " if lists else ""))
