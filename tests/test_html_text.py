"""Plane's HTML as plain text."""

import base64
import random
from html import escape
from itertools import product
from unicodedata import category

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from icsfeed.html_text import ADDRESS_LIMIT, PIECE_LIMIT, html_to_text
from icsfeed.text import MENTION, with_names
from icsfeed.text_builder import TEXT_LIMIT


@pytest.mark.parametrize(
    ("html", "text"),
    [
        pytest.param("", "", id="nothing"),
        pytest.param("<p></p>", "", id="an empty editor"),
        pytest.param("<p></p><p></p>", "", id="empty paragraphs"),
        pytest.param("plain words", "plain words", id="no tags"),
        pytest.param("<p>a</p><p>b</p>", "a\nb", id="paragraphs"),
        pytest.param("<p>a<br>b<br/>c</p>", "a\nb\nc", id="breaks"),
        pytest.param("<p>a<br><br><br><br>b</p>", "a\n\nb", id="at most one empty line"),
        pytest.param("<p>  a\n  b\t c </p>", "a b c", id="blanks are one space"),
        pytest.param("<p>a <strong>b</strong><em> c</em></p>", "a b c", id="inline tags"),
        pytest.param("<P CLASS=x>a</P>", "a", id="upper-case tags"),
        pytest.param("<h1>A</h1><p>b</p><h2>C</h2><h6>D</h6>", "A\nb\n\nC\n\nD", id="headings"),
        pytest.param("<p>a</p><hr><p>b</p>", "a\n---\nb", id="rule"),
        pytest.param("<ul><li><p>a</p></li><li><p>b</p></li></ul>", "- a\n- b", id="list of paragraphs"),
        pytest.param("<ol><li>a</li><li>b</li></ol><ol><li>c</li></ol>", "1. a\n2. b\n1. c", id="numbers"),
        pytest.param(
            "<ul><li><p>a</p><ol><li>b</li><li>c<ul><li>d</li></ul></li></ol></li><li>e</li></ul>",
            "- a\n  1. b\n  2. c\n    - d\n- e",
            id="nested lists",
        ),
        pytest.param("<ul><li><p>a</p><p>b</p></li></ul>", "- a\n  b", id="second paragraph of an item"),
        pytest.param(
            '<ul data-type="taskList"><li data-checked="true"><label><input type="checkbox" checked>'
            '</label><div><p>a</p></div></li><li data-checked="false"><div><p>b</p></div></li></ul>',
            "[x] a\n[ ] b",
            id="task list",
        ),
        pytest.param("<li>a", "- a", id="item without a list"),
        pytest.param("</li></ul></ol><p>a</p>", "a", id="list that was never opened"),
        pytest.param(
            "<table><tbody><tr><th><p>a</p></th><th>b</th></tr><tr><td><p>c</p><p>d</p></td><td></td></tr>"
            "</tbody></table><p>e</p>",
            "a | b\nc d |\ne",
            id="table",
        ),
        pytest.param("<table><tr><td>a<tr><td>b</table><p>c", "a\nb\nc", id="table without ends"),
        pytest.param(
            "<table><tr><td></td><td></td><td></td><td>a</td></tr></table>", " | | | a", id="empty cells"
        ),
        pytest.param("<ol><li></li><li></li><li></li><li>a</li></ol>", "4. a", id="empty items"),
        pytest.param("<p>a<b></b> <b></b> <b></b>b</p>", "a b", id="blanks between empty elements"),
        pytest.param("<p>x</p><td>a</td>", "x\na", id="cell without a table"),
        pytest.param(
            "<table><tr><td><ul><li>a</li><li>b</li></ul></td></tr></table>", "a b", id="list in a cell"
        ),
        pytest.param(
            "<tr><td>a<hr><blockquote>b</blockquote><pre>c\nd</pre><h1>e</h1></td></tr>",
            "a b c d e",
            id="blocks in a cell",
        ),
        pytest.param('<ol start="3"><li>a</li><li>b</li></ol>', "3. a\n4. b", id="list that goes on"),
        pytest.param("<ol start=0><li>a</li></ol>", "0. a", id="list from zero"),
        pytest.param('<ol start="x2"><li>a</li></ol>', "1. a", id="list from nowhere"),
        pytest.param("<ol start='9999999999'><li>a</li></ol>", "1. a", id="list from too far"),
        pytest.param(
            "<blockquote><p>a</p><blockquote>b</blockquote></blockquote>c", "> a\n> > b\nc", id="quotes"
        ),
        pytest.param("</blockquote>a", "a", id="quote that was never opened"),
        pytest.param("<blockquote><ul><li>a</li></ul></blockquote>", "> - a", id="list in a quote"),
        pytest.param(
            "<pre><code>if a:\n    b\n\n\nc</code></pre><p>d  e</p>",
            "if a:\n    b\n\nc\nd e",
            id="code block",
        ),
        pytest.param("</pre><p>a\nb</p>", "a b", id="code block that was never opened"),
        pytest.param('<a href="https://x.example/a">a</a>', "a (https://x.example/a)", id="link"),
        pytest.param(
            '<a href="https://x.example/">https://x.example</a>', "https://x.example", id="link as text"
        ),
        pytest.param('<a href="mailto:a@x.example">a@x.example</a>', "a@x.example", id="address as text"),
        pytest.param('<a href="mailto:a@x.example">Anna</a>', "Anna (mailto:a@x.example)", id="address"),
        pytest.param(
            '<a href="HTTPS://x.example/?a=1&amp;b=2"></a>', "HTTPS://x.example/?a=1&b=2", id="bare link"
        ),
        pytest.param("<a href=https://x.example/a>a</a> b", "a (https://x.example/a) b", id="unquoted link"),
        pytest.param(
            "<a href='https://x.example/a'>a <b>b</b></a>", "a b (https://x.example/a)", id="bold link"
        ),
        pytest.param('<a href="javascript:alert(1)">a</a>', "a", id="javascript link"),
        pytest.param('<a href="java&#10;script:alert(1)">a</a>', "a", id="hidden javascript link"),
        pytest.param('<a href="data:text/html,x">a</a>', "a", id="data link"),
        pytest.param('<a href="/acme/x">a</a>', "a", id="link in Plane"),
        pytest.param(
            '<a href="https://x.e&#13;&#10;xample">a</a>', "a (https://x.example)", id="link with breaks"
        ),
        pytest.param("<a>a</a></a>", "a", id="link without address"),
        pytest.param(
            '<a href="https://x.example/a">a<br>b</a>', "a\nb (https://x.example/a)", id="link over lines"
        ),
        pytest.param('<a href="https://x.example/a"></a>' * 3, "https://x.example/a" * 3, id="bare links"),
        pytest.param(
            '<a href="https://x.example">a <a href="https://y.example">b</a></a>',
            "a b (https://y.example)",
            id="link in a link",
        ),
        pytest.param("<p>a<script>if (a<b) {'</p>'}</script>b</p>", "ab", id="script"),
        pytest.param("<style>p {}</style><p>a</p>", "a", id="style"),
        pytest.param('<iframe src="https://x.example">x</iframe>a', "a", id="frame"),
        pytest.param("<svg/>a", "a", id="a tag that ends itself"),
        pytest.param("a<script>b", "a", id="script without an end"),
        pytest.param("<script><style></style>b</script>a", "a", id="style in a script"),
        pytest.param("<SCRIPT x='>'>b</script>a<scripts>c</scripts>", "ac", id="script and a name like it"),
        pytest.param('a<img src="x" alt="y">b<image-component src="z"></image-component>', "ab", id="images"),
        pytest.param(
            'Ask <mention-component entity_identifier="u-1" entity_name="user_mention" id="x">'
            "</mention-component>!",
            f"Ask {MENTION}u-1{MENTION}!",
            id="mention",
        ),
        pytest.param(
            "<mention-component></mention-component>", f"{MENTION}{MENTION}", id="mention of nobody"
        ),
        pytest.param(
            '<mention-component entity_identifier="a&#10;&#26;\x1ab">',
            f"{MENTION}a b{MENTION}",
            id="bad mention",
        ),
        pytest.param("a &lt;b&gt; &amp;amp; &eacute;&#128273;&nbsp;c", "a <b> &amp; é🔑\xa0c", id="entities"),
        pytest.param("&#0;&#x1a;&#8;a&#55296;&#133;b&bogus;", "\ufffda\ufffd…b&bogus;", id="bad entities"),
        pytest.param("a<!-- b --><!----><!-- > -->c", "ac", id="comments"),
        pytest.param("a<!-- b", "a", id="comment without an end"),
        pytest.param("<!DOCTYPE html><?xml?>a", "a", id="declarations"),
        pytest.param("1 < 2 > 1 <3", "1 < 2 > 1 <3", id="less than"),
        pytest.param('<p title="a > b">c</p>', "c", id="angle bracket in an attribute"),
        pytest.param("a<p", "a<p", id="half a tag"),
        pytest.param("a\x00\x07\x1ab\x85c\u2028d\ud800", "ab c d\ufffd", id="controls"),
    ],
)
def test_html_reads_as_plain_text(html: str, text: str) -> None:
    assert html_to_text(html) == text


def test_long_html_is_cut() -> None:
    assert html_to_text("<p>word word</p>" * 100_000) == ("word word\n" * 1000)[:TEXT_LIMIT]
    assert html_to_text("x" * 400_000) == "x" * TEXT_LIMIT
    assert html_to_text("<b> " * PIECE_LIMIT + "<b>x") == ""


LONG = "QUJD" * 15_000
FILE = base64.b64encode(random.Random(1).randbytes(45_000)).decode()
WRAPPED = "\n".join(FILE[at : at + 76] for at in range(0, len(FILE), 76))


@pytest.mark.parametrize(
    ("html", "text"),
    [
        pytest.param(f'a<img src="data:image/png;base64,{LONG}">b', "ab", id="image"),
        pytest.param(f"a<img src='data:image/png;base64,{LONG}'>b", "ab", id="image in other quotes"),
        pytest.param(f"a<img src=data:image/png;base64,{LONG}>b", "ab", id="image without quotes"),
        pytest.param(f'a<image-component src="{LONG}"></image-component>b' * 5, "ab" * 5, id="images"),
        pytest.param(f'<p style="background:url({LONG})">b</p>', "b", id="a long attribute"),
        pytest.param(f"<svg><path d='{LONG}'/></svg>b", "b", id="drawing"),
        pytest.param("<svg>" + "<path/>" * PIECE_LIMIT + "</SVG>b", "b", id="drawing of many parts"),
        pytest.param(f"<style>{LONG}</style><script>{LONG}</script>b", "b", id="style and script"),
        pytest.param(f"<!--{LONG}-->b", "b", id="comment"),
        pytest.param("a" + " " * 60_000 + "b", "a b", id="blanks"),
        pytest.param("a" + "<br>" * 6_000 + "b", "a\n\nb", id="empty lines"),
        pytest.param(f'<a href="https://x.example/{LONG}">a</a> b', "a b", id="link"),
        pytest.param(f'<a href="data:image/png;base64,{LONG}">a</a> b', "a b", id="link to a file"),
        pytest.param(
            f"<p>![x](data:image/png;base64,{LONG}) b</p>",
            "![x](data:image/png;base64,…) b",
            id="pasted as text",
        ),
        pytest.param(f"<pre>data:;base64,{LONG}\nb</pre>", "data:;base64,…\nb", id="of no kind"),
        pytest.param(f"DATA:image/png;base64,{LONG} b", "DATA:image/png;base64,… b", id="in capitals"),
        pytest.param(f"data:,{LONG} b", "data:,… b", id="plain"),
        pytest.param(f"data:image/png; base64, {LONG} b", "data:image/png; base64,… b", id="with blanks"),
        pytest.param(f"<p>{WRAPPED}</p><p>b</p>", f"{FILE[:60]}…\nb", id="in lines"),
        pytest.param(f"<pre>{WRAPPED}\nb</pre>", f"{FILE[:60]}…\nb", id="in lines of code"),
        pytest.param(f"a {FILE} b", f"a {FILE[:100]}… b", id="as it is"),
        pytest.param(f"https://x.example/{LONG} b", f"https://x.example/{LONG[:82]}… b", id="address"),
        pytest.param(
            f"&lt;https://x.example/{LONG}> b", f"<https://x.example/{LONG[:82]}… b", id="in brackets"
        ),
        pytest.param(f"<https://x.example/{LONG}' b", f"<https://x.example/{LONG[:82]}… b", id="no tag"),
        pytest.param(f"<math><mi>x</mi><annotation>{LONG}</annotation></math>b", "xb", id="formula"),
        pytest.param("a" + "\u200b" * 60_000 + "b", "ab", id="unseen"),
        pytest.param("a" + "<br/>" * 60_000 + "b", "a\n\nb", id="more empty lines"),
        pytest.param("a" + "<b></b>" * 60_000 + "b", "ab", id="empty elements"),
        pytest.param("<p>a</p>" + '<p class="x"></p>' * 60_000 + "b", "a\nb", id="empty paragraphs"),
    ],
)
def test_invisible_content_takes_no_space_from_what_follows(html: str, text: str) -> None:
    assert html_to_text(html) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        pytest.param("<p>a <s>b</s> c</p>", "a ~~b~~ c", id="s"),
        pytest.param("<p>a<del>b</del>c<strike>d</strike></p>", "a~~b~~c~~d~~", id="del and strike"),
        pytest.param("<p>a<s> b </s>c</p>", "a ~~b~~ c", id="blanks stay outside"),
        pytest.param("<s></s><s> </s>a", "a", id="nothing struck out"),
        pytest.param("<s>a<br>b</s><p>c</p>", "~~a~~\n~~b~~\nc", id="over lines"),
        pytest.param("<s><p>a</p><p>b</p></s>c", "~~a~~\n~~b~~\nc", id="paragraphs"),
        pytest.param("<ul><li><s>a</s></li><li>b</li></ul>", "- ~~a~~\n- b", id="items"),
        pytest.param(
            '<p>a <span style="color:red; text-decoration: line-through">b<span>c</span>d</span> e</p>',
            "a ~~bcd~~ e",
            id="by its style",
        ),
        pytest.param("<s>a <del>b</del> c</s> d", "~~a b c~~ d", id="in each other"),
        pytest.param('<s><a href="https://x.example/a">a</a></s>', "~~a (https://x.example/a)~~", id="link"),
        pytest.param(
            '<a href="https://x.example/a"><s>a</s></a>', "~~a~~ (https://x.example/a)", id="in a link"
        ),
        pytest.param("<pre><s>a\n b</s></pre>", "~~a~~\n ~~b~~", id="code"),
        pytest.param("a<s>b", "a~~b~~", id="without an end"),
        pytest.param("a</s>b", "ab", id="never opened"),
    ],
)
def test_struck_out_text_is_marked(html: str, text: str) -> None:
    assert html_to_text(html) == text


def test_a_link_that_is_too_long_to_show_is_left_out() -> None:
    address = "https://x.example/" + "a" * (ADDRESS_LIMIT - len("https://x.example/"))
    assert html_to_text(f'<a href="{address}">a</a>') == f"a ({address})"
    assert html_to_text(f'<a href="{address}b">a</a>') == "a"


@pytest.mark.parametrize("room", range(8))
def test_a_mention_is_never_cut_in_half(room: int) -> None:
    mention = '<mention-component entity_identifier="u-1"></mention-component>'
    text = html_to_text("x" * (TEXT_LIMIT - room) + mention)
    assert text.count(MENTION) == (2 if room >= 5 else 0)


UNITS = [
    *("<a>", "<br>", '<a "', "<a '\"", "<ul>", "<ul><li>x", "<td>", "<tr><td>x", "<table>", "<blockquote>"),
    *("<!--", "<!", "<", "<a", "&#x", "&amp", "<script>", "<mention-component>", "<pre>\n", "<a x =  ", "x "),
]


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("head", ["", "<a>" * 5000, "<ul>" * 5000, "<table><tr><td>", "<pre>"])
def test_html_that_is_made_to_be_slow_is_read(head: str, unit: str) -> None:
    assert len(html_to_text(head + unit * 40_000)) <= TEXT_LIMIT


TAGS = (
    "p",
    "br",
    "ul",
    "ol",
    "li",
    "table",
    "tr",
    "td",
    "a",
    "pre",
    "blockquote",
    "script",
    "h1",
    "b",
    "hr",
    "x-y",
)
MARKUP = [
    f"<{slash}{tag}{rest}>" for slash, tag, rest in product(("", "/"), TAGS, ("", ' href="https://x"', "/"))
]
markup = st.lists(
    st.sampled_from(
        [
            *MARKUP,
            "<mention-component>",
            "<!--",
            "-->",
            "<",
            ">",
            '"',
            "'",
            "&lt;",
            "&#26;",
            "\x1a",
            "\ud800",
            "\n",
            "a b",
        ]
    )
    | st.text(max_size=5),
    max_size=30,
).map("".join)


@given(markup)
@example("<mention-component><br><mention-component entity_identifier='\x1a'>")
def test_any_html_becomes_clean_text(html: str) -> None:
    text = html_to_text(html)
    assert len(text) <= TEXT_LIMIT
    assert text == text.strip("\n")
    assert text.count(MENTION) % 2 == 0
    assert not [
        char for char in text.replace(MENTION, "") if category(char) in ("Cc", "Cs") and char not in "\n\t"
    ]
    assert MENTION not in with_names(text, lambda _: None)


TOKENS = st.sampled_from(
    [
        *(
            f"<{slash}{tag}>"
            for slash in ("", "/")
            for tag in (*TAGS, "s", "span", "th", "div")
            if tag != "script"
        ),
        '<a href="https://x.example/a">',
        '<ol start="4">',
        '<li data-checked="true">',
        '<span style="text-decoration: line-through">',
        '<mention-component entity_identifier="u-1">',
        *("a", "b c ", " d", " ", "\n", "&amp;", "e" * 120, "1 < 2"),
    ]
)


def html_of(tokens: list[str], between: str = "", attribute: str = "") -> str:
    """Return a document with something between its tokens, and another attribute in each begin tag."""
    tags = [token[:-1] + attribute + ">" if token.startswith("<") else token for token in tokens]
    return between.join(("", *tags, ""))


@pytest.mark.parametrize(
    ("between", "attribute"),
    [
        pytest.param("", ' class="editor-paragraph-block"', id="class"),
        pytest.param("", f" class='{'x' * 400}'", id="long class"),
        pytest.param("", ' title="a > b <br>"', id="tag in an attribute"),
        pytest.param("<b>", "", id="bold"),
        pytest.param("</em><b class='x'></B>" * 8, "", id="many tags"),
        pytest.param("<!-- <br> -->", "", id="comments"),
        pytest.param("<style>p { color: red }</style>", "", id="styles"),
        pytest.param("<img src='data:image/png;base64,QUJD'/>", "", id="images"),
    ],
)
@given(st.lists(TOKENS, max_size=25))
def test_what_has_no_text_changes_nothing(between: str, attribute: str, tokens: list[str]) -> None:
    assert html_to_text(html_of(tokens, between, attribute)) == html_to_text(html_of(tokens))


@given(st.lists(TOKENS, max_size=25))
def test_names_of_tags_may_be_in_capitals(tokens: list[str]) -> None:
    loud = [
        token.partition(" ")[0].upper() + token[len(token.partition(" ")[0]) :] if token[0] == "<" else token
        for token in tokens
    ]
    assert html_to_text(html_of(loud)) == html_to_text(html_of(tokens))


@given(st.lists(st.text("abc &<>;é\u200d日", min_size=1), min_size=1, max_size=8))
def test_paragraphs_are_lines(paragraphs: list[str]) -> None:
    html = "".join(f"<p>{escape(text)}</p>" for text in paragraphs)
    shown = [" ".join(filter(None, text.split(" "))) for text in paragraphs]
    assert html_to_text(html) == "\n".join(filter(None, shown))
