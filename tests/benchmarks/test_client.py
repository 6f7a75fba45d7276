import asyncio

import pytest

from benchmarks.client import Answer, Connection, Reader

ANSWER = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nContent-Length: 4\r\n\r\nbusy"


def test_an_answer_is_read_whatever_its_pieces():
    """The same answer comes out of any cut of its bytes, only with its last byte."""
    for size in range(1, len(ANSWER) + 1):
        reader = Reader()
        pieces = [ANSWER[start : start + size] for start in range(0, len(ANSWER), size)]
        *unfinished, answer = [reader.feed(piece) for piece in pieces]
        assert unfinished == [None] * len(unfinished)
        assert answer == Answer(503, ANSWER.partition(b"\r\n\r\n")[0].lower(), b"busy")


def test_answers_follow_each_other_on_one_connection():
    """The reader is ready for the next answer when one is complete."""
    reader = Reader()
    assert [reader.feed(ANSWER), reader.feed(ANSWER)] == [Answer(503, ANSWER[:-8].lower(), b"busy")] * 2


def test_headers_are_found_by_their_whole_name():
    """`after` is not `retry-after`, and what is not there is None."""
    answer = Reader().feed(ANSWER)
    assert answer is not None
    assert (answer.header(b"retry-after"), answer.header(b"after"), answer.header(b"date")) == (b"2", None, None)


def test_an_answer_without_a_length_is_refused():
    """What the client cannot delimit is an error, not a wait without end."""
    with pytest.raises(ValueError, match="length"):
        Reader().feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")


def test_a_server_that_hangs_up_is_a_lost_connection():
    """A request that gets no answer raises ConnectionError, and its connection is not used again."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(4)
        writer.close()

    async def ask() -> None:
        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        connection = await Connection.to(server.sockets[0].getsockname()[1])
        with pytest.raises(ConnectionError):
            await connection.send(b"GET ")
        assert not connection.usable
        server.close()

    asyncio.run(ask())
