"""What the calendars of accounts show."""

from msgspec.structs import replace

from icsfeed.feeds.query import parse_query
from icsfeed.web.dav.resources import Account, DavCalendar, Source


def test_a_task_list_is_filtered_as_the_calendar_is() -> None:
    whole, urgent = Source("prop"), Source("prop", "phone", parse_query([("priority", "urgent")]))
    assert whole.as_tasks == Source("prop", query=parse_query([("component", "vtodo")]))
    tasks = urgent.as_tasks
    assert tasks.query is not None
    assert tasks.query.component == "vtodo"
    assert [match.priority for match in tasks.query.also] == [("urgent",)]
    assert tasks.subscriber == "phone"


def test_a_filter_that_cannot_be_used_is_as_good_for_tasks() -> None:
    unusable = Source("prop", "phone", None)
    assert unusable.as_tasks is unusable


def test_a_calendar_with_another_title_is_another_state() -> None:
    calendar = DavCalendar("prop", "VEVENT", "Property", "What", "#112233", {}, "token")
    for name, value in (
        ("title", "P"),
        ("description", ""),
        ("color", ""),
        ("token", "t"),
        ("kind", "VTODO"),
    ):
        assert replace(calendar, **{name: value}).state != calendar.state


def test_a_calendar_and_its_task_list_show_the_same_feed() -> None:
    account = Account("anna", {"prop": Source("prop")})
    assert account.source("prop") == Source("prop")
    assert account.source("prop+tasks") == Source("prop").as_tasks
