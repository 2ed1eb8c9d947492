import re
from html.parser import HTMLParser

from gateway.measure.charts import Series, lines
from gateway.measure.page import Section, Table, page

NASTY = "<img src=x onerror=alert(1)>&\"'"
VOID = {"meta", "br", "hr"}


class Reader(HTMLParser):
    """Checks that tags are balanced; keeps tags, attributes and text."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.text.append(text)


def read(html):
    reader = Reader()
    reader.feed(html)
    assert reader.open == []
    return reader


def nasty_page():
    picture = lines([Series(NASTY, [1], [1])], title=NASTY, desc=NASTY, x_label="x", y_label="y")
    table = Table([NASTY, "b"], [[NASTY, "1"]], NASTY)
    return page(NASTY, [Section(NASTY, [NASTY], [picture], [table]), Section("")], lead=NASTY)


def test_everything_given_is_text_and_nothing_becomes_markup():
    reader = read(nasty_page())
    assert "img" not in reader.tags
    assert "script" not in reader.tags
    assert reader.text.count(NASTY) >= 8


def test_the_page_refers_to_nothing_outside():
    html = nasty_page()
    reader = read(html)
    assert not {k for k, _ in reader.attributes} & {"href", "src", "action", "onerror"}
    assert "@import" not in html
    assert "url(" not in html
    namespaces = re.findall(r"https?://[^\"' ]+", html)
    assert set(namespaces) == {"http://www.w3.org/2000/svg"}


def test_tables_have_headings_for_columns_and_rows():
    html = page("t", [Section("s", (), (), [Table(["rate", "p50"], [["100", "3.1"], []])])])
    assert html.count('scope="col"') == 2
    assert html.count('scope="row"') == 1
    assert "<td>3.1</td>" in html


def test_dark_and_paper_are_provided_for():
    html = page("t", [])
    assert "prefers-color-scheme:dark" in html
    assert "@media print" in html
