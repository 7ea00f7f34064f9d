"""The chart of cost by issues and feeds, as an SVG file."""

from collections.abc import Mapping, Sequence
from math import log10
from xml.sax.saxutils import escape

Points = Sequence[tuple[float, float]]

WIDTH, HEIGHT, LEFT, TOP, GAP = 420, 260, 60, 40, 60
COLORS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd")
STYLE = "text{font:12px sans-serif;fill:#222}.grid{stroke:#ddd}.axis{stroke:#888;fill:none}"


def svg(panels: Mapping[str, Mapping[str, Points]], below: Mapping[str, str]) -> str:
    """Return panels of lines by name, with logarithmic axes. `below`: the labels of the horizontal axes."""
    width = len(panels) * (WIDTH + LEFT + GAP)
    height = TOP + HEIGHT + 60 + 18 * max(len(lines) for lines in panels.values())
    drawn = []
    for number, (title, lines) in enumerate(panels.items()):
        across = LEFT + number * (WIDTH + LEFT + GAP)
        panel = _panel(title, lines, below[title])
        drawn.append(f'<g transform="translate({across},{TOP})">{panel}</g>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">'
    paper = f'<style>{STYLE}</style><rect width="{width}" height="{height}" fill="#fff"/>'
    return f"{head}{paper}{''.join(drawn)}</svg>\n"


def _panel(title: str, lines: Mapping[str, Points], below: str) -> str:
    xs = [x for points in lines.values() for x, _ in points]
    ys = [y for points in lines.values() for _, y in points]
    left, right = log10(min(xs)), log10(max(xs))
    low, high = int(log10(min(ys)) // 1), int(-(-log10(max(ys)) // 1))

    def at(x: float, y: float) -> tuple[float, float]:
        across = (log10(x) - left) / (right - left or 1)
        up = (log10(y) - low) / (high - low or 1)
        return round(across * WIDTH, 1), round((1 - up) * HEIGHT, 1)

    parts = [f'<text x="0" y="-16" font-weight="bold">{escape(title)}</text>']
    for power in range(low, high + 1):
        _, y = at(min(xs), 10.0**power)
        parts.append(f'<line class="grid" x1="0" x2="{WIDTH}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="-8" y="{y + 4}" text-anchor="end">{10.0**power:g}</text>')
    for x in sorted(set(xs)):
        across, _ = at(x, ys[0])
        parts.append(f'<text x="{across}" y="{HEIGHT + 18}" text-anchor="middle">{x:,.0f}</text>')
    parts.append(f'<rect class="axis" width="{WIDTH}" height="{HEIGHT}"/>')
    parts.append(f'<text x="{WIDTH / 2}" y="{HEIGHT + 36}" text-anchor="middle">{escape(below)}</text>')
    for number, (name, points) in enumerate(lines.items()):
        parts.append(_line(name, [at(*point) for point in points], number))
    return "".join(parts)


def _line(name: str, points: Sequence[tuple[float, float]], number: int) -> str:
    color, y = COLORS[number % len(COLORS)], HEIGHT + 56 + 18 * number
    path = " ".join(f"{x},{y}" for x, y in points)
    dots = "".join(f'<circle cx="{x}" cy="{y}" r="3" fill="{color}"/>' for x, y in points)
    key = f'<rect x="0" y="{y - 9}" width="12" height="4" fill="{color}"/>'
    label = f'{key}<text x="18" y="{y}">{escape(name)}</text>'
    return f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>{dots}{label}'
