"""The code blocks of W&B's StreamTable page, with the import line changed.

On the page, the second block lacks its last parenthesis.
"""

from __future__ import annotations

import pytest
from lab import Server

CREATE = """\
from streamtable.monitoring import StreamTable
st = StreamTable("my_entity_name/my_project_name/my_table_name")
"""

LOG = """\
st.log({"one_column_name" : "value_a", "another_column_name" : 7})
st.log([{"one_column_name" : "value_b", "another_column_name" : 19},
        {"one_column_name" : "value_c", "another_column_name" : 28},
        {"one_column_name" : "value_d", "another_column_name" : 36}])
"""


def test_the_page(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    exec(CREATE, names)
    exec(LOG, names)
    exec("shown = st._repr_mimebundle_()['text/html']", names)
    exec("st.finish()", names)

    # The link that the first call prints has the form that the page shows.
    printed = (
        f"View data at: {server.url}/?exp=get%28%0A++++%22wandb-artifact%3A%2F%2F%2Fmy_entity_name"
        "%2Fmy_project_name%2Fmy_table_name%3Alatest%2Fobj%22%29%0A++.rows\n"
    )
    assert capsys.readouterr().err == printed
    rows = server.rows("my_entity_name/my_project_name/my_table_name")
    assert [(row["one_column_name"], row["another_column_name"]) for row in rows] == [
        ("value_a", 7),
        ("value_b", 19),
        ("value_c", 28),
        ("value_d", 36),
    ]
    assert all(row["timestamp"] for row in rows)
    assert "value_d" in str(names["shown"])
