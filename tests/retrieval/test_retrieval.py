"""The package through its entrance: real files, a real full-text table, a real Chroma."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from tests.retrieval.folders import best, ingest, member, opened, prose, until
from tests.retrieval.hashing import HashingEmbedder
from understudy_retrieval import (
    EmbedderMismatchError,
    EmbeddingError,
    FileRefusedError,
    FolderLockedError,
    Ranking,
    Retrieval,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
async def retrieval(tmp_path: Path) -> AsyncIterator[Retrieval]:
    async with opened(tmp_path / "retrieval", HashingEmbedder()) as retrieval:
        yield retrieval


async def test_a_passage_is_found(retrieval: Retrieval, tmp_path: Path) -> None:
    one = member()
    text = prose(1500, "The zeppelin lands in Friedrichshafen at noon.")
    ingested = await ingest(retrieval, tmp_path, text, one)
    assert ingested.chunks == -(-ingested.tokens // 100)
    assert ingested.usage_bytes > len(text)
    hit = await best(retrieval, "When does the zeppelin land in Friedrichshafen?")
    assert hit.member_id == one.id
    assert "zeppelin lands in Friedrichshafen" in hit.text
    assert 0 < hit.score <= 1
    assert await retrieval.text(one.id) == text


async def test_scores_are_bounded_and_ordered(retrieval: Retrieval, tmp_path: Path) -> None:
    await ingest(retrieval, tmp_path, prose(4000, "one zeppelin", "zeppelin zeppelin zeppelin", "a"), member())
    for ranking in (Ranking(), Ranking(1, 0), Ranking(0, 1), Ranking(0, 0), Ranking(3, 9)):
        hits = await retrieval.search(["vs_a"], ["zeppelin badra", ""], limit=50, ranking=ranking)
        scores = [hit.score for hit in hits]
        assert scores == sorted(scores, reverse=True)
        assert all(0 <= score <= 1 for score in scores)


async def test_a_score_in_a_store_does_not_depend_on_other_stores(retrieval: Retrieval, tmp_path: Path) -> None:
    await ingest(retrieval, tmp_path, "A zeppelin is an airship.", member())
    before = await best(retrieval, "zeppelin", ranking=Ranking(0, 1))
    for number in range(5):
        await ingest(retrieval, tmp_path, prose(300, "zeppelin"), member(f"file-{number}", f"vs_{number}"))
    after = await best(retrieval, "zeppelin", ranking=Ranking(0, 1))
    # What is left is the mean length of chunks, which SQLite counts over all of them.
    assert after.score == pytest.approx(before.score, abs=0.4)
    assert before.score > 0.3


@pytest.mark.parametrize(
    "query", ['"', "a OR b", "zep*", "NEAR(x y)", "text:zeppelin", "-zeppelin", "", "  ", "\0", "½", "'; --"]
)
async def test_a_query_is_words_only(retrieval: Retrieval, tmp_path: Path, query: str) -> None:
    await ingest(retrieval, tmp_path, "A zeppelin is an airship.", member())
    assert len(await retrieval.search(["vs_a"], [query], limit=10)) == 1


async def test_stems_and_accents(retrieval: Retrieval, tmp_path: Path) -> None:
    await ingest(retrieval, tmp_path, "The café was landing zeppelins.", member())
    words_only = Ranking(0, 1)
    for query in ("cafe", "CAFÉ", "landed", "zeppelin"):
        assert (await best(retrieval, query, ranking=words_only)).score > 0.1


async def test_another_strategy_costs_no_embedding(tmp_path: Path) -> None:
    embedder = HashingEmbedder()
    async with opened(tmp_path / "r", embedder) as retrieval:
        first, second = member(size=100), member(store="vs_b", size=400, overlap=200)
        ingested = await ingest(retrieval, tmp_path, prose(3000, "a zeppelin"), first)
        windows = embedder.embedded
        assert windows == -(-ingested.tokens // 200)
        again = await ingest(retrieval, tmp_path, "not read again", second)
        assert embedder.embedded == windows
        assert again.tokens == ingested.tokens
        assert again.chunks < ingested.chunks
        assert "zeppelin" in (await best(retrieval, "zeppelin", "vs_b")).text


async def test_ingesting_twice_changes_nothing(retrieval: Retrieval, tmp_path: Path) -> None:
    one = member()
    first = await ingest(retrieval, tmp_path, prose(500, "a zeppelin"), one)
    assert await ingest(retrieval, tmp_path, "something else", one) == first
    hits = await retrieval.search(["vs_a"], ["zeppelin"], limit=50)
    assert len(hits) == first.chunks


async def test_what_was_embedded_before_a_failure_is_kept(tmp_path: Path) -> None:
    embedder = HashingEmbedder()
    embedder.fails_after = 200
    text = prose(20_000, "a zeppelin")
    one = member()
    async with opened(tmp_path / "r", embedder) as retrieval:
        with pytest.raises(EmbeddingError):
            await ingest(retrieval, tmp_path, text, one)
        assert embedder.embedded == 128
    embedder.fails_after = None
    async with opened(tmp_path / "r", embedder) as retrieval:
        ingested = await ingest(retrieval, tmp_path, text, one)
        assert embedder.embedded == -(-ingested.tokens // 200)
        assert "zeppelin" in (await best(retrieval, "zeppelin")).text


async def test_a_removed_file_is_not_found(retrieval: Retrieval, tmp_path: Path) -> None:
    gone, kept = member("file-gone"), member("file-kept")
    await ingest(retrieval, tmp_path, prose(500, "a zeppelin"), gone)
    await ingest(retrieval, tmp_path, prose(500, "an airship", seed=2), kept)
    await retrieval.remove_member(gone.id)
    await retrieval.remove_member(gone.id)
    hits = await retrieval.search(["vs_a"], ["zeppelin"], limit=50)
    assert {hit.member_id for hit in hits} == {kept.id}
    await until(lambda: not retrieval._store.garbage())
    with retrieval._store.reading() as connection:
        (rows,) = connection.execute("SELECT count(*) FROM chunks WHERE chunks MATCH 'zeppelin'").fetchone()
    assert rows == 0
    with pytest.raises(KeyError):
        await retrieval.text(gone.id)


async def test_a_removed_store_is_not_found(retrieval: Retrieval, tmp_path: Path) -> None:
    await ingest(retrieval, tmp_path, prose(500, "a zeppelin"), member())
    other = member(store="vs_b")
    await ingest(retrieval, tmp_path, "An airship.", other)
    await retrieval.remove_store("vs_a")
    await retrieval.remove_store("vs_never")
    assert await retrieval.search(["vs_a", "vs_never"], ["zeppelin"], limit=5) == []
    assert (await best(retrieval, "zeppelin", "vs_b")).member_id == other.id
    await until(lambda: not retrieval._store.garbage())


async def test_what_was_removed_gives_its_room_back(tmp_path: Path) -> None:
    file = tmp_path / "r/retrieval.db"
    async with opened(tmp_path / "r", None) as retrieval:
        kept = member(store="vs_b")
        await ingest(retrieval, tmp_path, "An airship.", kept)
        for number in range(6):
            await ingest(retrieval, tmp_path, prose(150_000, seed=number), member(f"file-{number}", size=800))
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        before = file.stat().st_size
        await retrieval.remove_store("vs_a")
        for number in range(6):
            await retrieval.forget_file(f"file-{number}")
        await until(lambda: file.stat().st_size < before - 4_000_000)
        assert (await best(retrieval, "airship", "vs_b")).member_id == kept.id


async def test_scores_while_chunks_are_purged(retrieval: Retrieval, tmp_path: Path) -> None:
    await ingest(retrieval, tmp_path, "A zeppelin is an airship.", member())
    before = await best(retrieval, "zeppelin", ranking=Ranking(0, 1))
    other = member("file-b", "vs_b")
    await ingest(retrieval, tmp_path, prose(3000), other)
    await retrieval.remove_member(other.id)
    await until(lambda: not retrieval._store.garbage())
    await retrieval.remove_store("vs_b")  # whose range of chunks is empty by now
    after = await best(retrieval, "zeppelin", ranking=Ranking(0, 1))
    assert after.score == pytest.approx(before.score)


async def test_a_deleted_files_document_goes_with_its_last_store(retrieval: Retrieval, tmp_path: Path) -> None:
    one = member()
    await ingest(retrieval, tmp_path, "A zeppelin.", one)
    await retrieval.forget_file("file-a")
    assert await retrieval.text(one.id) == "A zeppelin."
    await retrieval.remove_member(one.id)
    await retrieval.keep_documents({"file-b"})
    again = member()
    await ingest(retrieval, tmp_path, "An airship.", again)
    assert await retrieval.text(again.id) == "An airship."


async def test_only_the_members_asked_for(retrieval: Retrieval, tmp_path: Path) -> None:
    members = [member(f"file-{number}") for number in range(6)]
    for one in members:
        await ingest(retrieval, tmp_path, prose(300, "a zeppelin", seed=one.id), one)
    wanted = {members[1].id, members[4].id}
    hits = await retrieval.search(["vs_a"], ["zeppelin"], limit=50, members=wanted)
    assert {hit.member_id for hit in hits} == wanted
    assert await retrieval.search(["vs_a"], ["zeppelin"], limit=50, members=[]) == []


async def test_neighbours_are_not_repeated_where_that_is_asked(retrieval: Retrieval, tmp_path: Path) -> None:
    one = member(size=200, overlap=100)
    await ingest(retrieval, tmp_path, prose(2000, "the zeppelin of Friedrichshafen"), one)
    plain = await retrieval.search(["vs_a"], ["zeppelin Friedrichshafen"], limit=2)
    assert abs(plain[0].chunk - plain[1].chunk) == 1
    distinct = await retrieval.search(["vs_a"], ["zeppelin Friedrichshafen"], limit=50, distinct=True)
    assert distinct[0] == plain[0]
    numbers = sorted(hit.chunk for hit in distinct)
    assert all(after - before >= 2 for before, after in pairwise(numbers))


async def test_a_file_in_two_stores_is_not_repeated(retrieval: Retrieval, tmp_path: Path) -> None:
    text = prose(2000, "the zeppelin of Friedrichshafen")
    await ingest(retrieval, tmp_path, text, member("file-a", "vs_a", 200, 100))
    await ingest(retrieval, tmp_path, text, member("file-a", "vs_b", 300, 0))
    hits = await retrieval.search(["vs_a", "vs_b"], ["zeppelin Friedrichshafen", "zeppelin"], limit=50, distinct=True)
    places = sorted((text.find(hit.text), text.find(hit.text) + len(hit.text)) for hit in hits)
    assert all(end <= start for (_, end), (start, _) in pairwise(places))
    plain = await retrieval.search(["vs_a", "vs_b"], ["zeppelin"], limit=4)
    assert len({hit.member_id for hit in plain}) == 2


async def test_several_queries_and_stores(retrieval: Retrieval, tmp_path: Path) -> None:
    await ingest(retrieval, tmp_path, "A zeppelin.", member("file-a", "vs_a"))
    await ingest(retrieval, tmp_path, "A submarine.", member("file-b", "vs_b"))
    hits = await retrieval.search(["vs_a", "vs_b", "vs_a"], ["zeppelin", "submarine"], limit=10)
    assert [hit.text for hit in hits] in (["A zeppelin.", "A submarine."], ["A submarine.", "A zeppelin."])


async def test_embedders_are_not_mixed(tmp_path: Path) -> None:
    async with opened(tmp_path / "r", HashingEmbedder("one")) as retrieval:
        await ingest(retrieval, tmp_path, "A zeppelin.", member())
    async with opened(tmp_path / "r", HashingEmbedder("two")) as retrieval:
        with pytest.raises(
            EmbedderMismatchError, match=r"vs_a was embedded by one/64, .* is two: .*understudy reindex"
        ):
            await retrieval.search(["vs_a"], ["zeppelin"], limit=1)
        with pytest.raises(EmbedderMismatchError):
            await ingest(retrieval, tmp_path, "An airship.", member("file-b"))
        await ingest(retrieval, tmp_path, "A zeppelin.", member(store="vs_b"))
        assert (await best(retrieval, "zeppelin", "vs_b")).score > 0.3


async def test_while_the_embedder_is_away_words_decide(tmp_path: Path) -> None:
    first, second = member(), member("file-b")
    async with opened(tmp_path / "r", HashingEmbedder()) as retrieval:
        await ingest(retrieval, tmp_path, "A zeppelin.", first)
    async with opened(tmp_path / "r", None) as retrieval:
        assert (await best(retrieval, "zeppelin")).score > 0.3
        await ingest(retrieval, tmp_path, "An airship.", second)
        assert (await best(retrieval, "airship")).member_id == second.id
    live = {first.id: "vs_a", second.id: "vs_a"}
    async with opened(tmp_path / "r", HashingEmbedder()) as retrieval:
        assert len(await retrieval.search(["vs_a"], ["airship"], limit=5)) == 2
        assert await retrieval.reconcile(live) == {second.id}
        await ingest(retrieval, tmp_path, "An airship.", second)
        assert (await best(retrieval, "an airship.", ranking=Ranking(1, 0))).member_id == second.id
        assert await retrieval.reconcile(live) == set()


async def test_reindexing(tmp_path: Path) -> None:
    one, two = HashingEmbedder("one"), HashingEmbedder("two")
    async with opened(tmp_path / "r", one) as retrieval:
        for number in range(3):
            text = prose(600, "a zeppelin", seed=number)
            await ingest(retrieval, tmp_path, text, member(f"file-{number}", f"vs_{number % 2}"))
        before = await best(retrieval, "zeppelin", "vs_0")
    async with opened(tmp_path / "r", two) as retrieval:
        two.fails_after = 10
        with pytest.raises(EmbeddingError):
            async for _ in retrieval.reindex():
                pass
        two.fails_after = None
    async with opened(tmp_path / "r", two) as retrieval:
        assert sorted([store async for store in retrieval.reindex()]) == ["vs_0", "vs_1"]
        after = await best(retrieval, "zeppelin", "vs_0")
        assert after.text == before.text
        await ingest(retrieval, tmp_path, "An airship.", member("file-new", "vs_0"))
        assert [store async for store in retrieval.reindex()] == []
        usage = await retrieval.usage()
    async with opened(tmp_path / "r", None) as retrieval:  # to words alone, and back
        assert len([store async for store in retrieval.reindex()]) == 2
        assert (await best(retrieval, "zeppelin", "vs_1")).score > 0
    async with opened(tmp_path / "r", one) as retrieval:
        assert all(size < usage[one] for one, size in (await retrieval.usage()).items())
        assert len([store async for store in retrieval.reindex()]) == 2
        assert await retrieval.usage() == usage
        assert (await best(retrieval, "zeppelin", "vs_0")).text == before.text


async def test_without_an_embedder_words_decide(tmp_path: Path) -> None:
    async with opened(tmp_path / "r", None) as retrieval:
        await ingest(retrieval, tmp_path, prose(800, "a zeppelin"), member())
        assert "zeppelin" in (await best(retrieval, "zeppelin", ranking=Ranking(1, 0))).text
        one = member("file-b")
        await ingest(retrieval, tmp_path, "An airship.", one)
    async with opened(tmp_path / "r", HashingEmbedder()) as retrieval:
        assert "zeppelin" in (await best(retrieval, "zeppelin")).text
        assert await retrieval.reconcile({one.id: "vs_a"}) == {one.id}  # to be ingested again, with vectors
        await ingest(retrieval, tmp_path, "An airship.", one)
        assert (await best(retrieval, "an airship.", ranking=Ranking(1, 0))).score > 0.9


async def test_a_file_of_more_than_five_million_tokens(retrieval: Retrieval, tmp_path: Path) -> None:
    with pytest.raises(FileRefusedError, match="too large"):
        await ingest(retrieval, tmp_path, "a b " * 2_500_100, member("file-large"))
    await ingest(retrieval, tmp_path, prose(100), member())


async def test_reconciling(retrieval: Retrieval, tmp_path: Path) -> None:
    kept, gone = member(), member("file-b")
    for one in (kept, gone, member("file-c", "vs_gone")):
        await ingest(retrieval, tmp_path, "A zeppelin.", one)
    assert await retrieval.reconcile({kept.id: "vs_a", 10**6: "vs_new"}) == {10**6}
    hits = await retrieval.search(["vs_a", "vs_gone"], ["zeppelin"], limit=10)
    assert [hit.member_id for hit in hits] == [kept.id]


async def test_the_folder_is_locked(retrieval: Retrieval, tmp_path: Path) -> None:
    second = Retrieval(tmp_path / "retrieval", None)
    with pytest.raises(FolderLockedError, match="another process uses"):
        second.open()
