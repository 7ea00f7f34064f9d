"""Any tree of elements is read back as it was given, by another parser."""

from xml.etree.ElementTree import Element

from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st

from icsfeed.dav.names import CALDAV, DAV, PROP
from icsfeed.dav.tree import element, xml_bytes

ALLOWED = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff").filter(
        lambda c: c in "\t\n\r" or c >= " "
    )
)
TAGS = st.sampled_from([f"{DAV}a", f"{CALDAV}b", '{urn:x&y<z"}c', "d"])


def trees() -> st.SearchStrategy[Element]:
    attributes = st.dictionaries(st.sampled_from(["name", "start"]), ALLOWED, max_size=2)
    leaves = st.builds(
        lambda tag, text, named: element(tag, text=text, attributes=named), TAGS, ALLOWED, attributes
    )

    def above(inner: st.SearchStrategy[Element]) -> st.SearchStrategy[Element]:
        return st.builds(lambda tag, children: element(tag, *children), TAGS, st.lists(inner))

    return st.recursive(leaves, above, max_leaves=8)


def content(one: Element) -> tuple[object, ...]:
    return (one.tag, one.text or "", dict(one.attrib), [content(child) for child in one])


@given(trees())
def test_what_is_written_is_read(tree: Element) -> None:
    assert content(fromstring(xml_bytes(tree))) == content(tree)


def test_what_xml_forbids_is_left_out() -> None:
    written = xml_bytes(element(PROP, text="a\x00\x0b\ufffe\ud800b"))
    assert fromstring(written).text == "ab"
