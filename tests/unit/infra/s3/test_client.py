"""An S3 service that is away is waited for; what it refuses is told with its remedy."""

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, FlexibleChecksumError

from infra.errors import (
    BucketAccessError,
    BucketError,
    MissingBucketError,
    ObjectConditionError,
    StoreUnreachableError,
)
from infra.s3.address import Object, Service, quoted, split
from infra.s3.client import S3
from infra.s3.refusals import Asked, explained, may_pass
from tests.support.bucket import Bucket, keys_of_anyone, running_bucket
from tests.support.cutting import between

THERE = Object("tables", "there")


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    """Run an S3 server for all tests of this file."""
    with keys_of_anyone(), running_bucket() as bucket:
        bucket.put("there", b"0123456789" * 20_000)
        yield bucket


@pytest.fixture(scope="module")
def s3(bucket: Bucket) -> S3:
    """Return a client that is soon tired of waiting."""
    return S3(Service(bucket.endpoint), patience=2)


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("s3://bucket", Object("bucket", "")),
        ("s3://bucket/", Object("bucket", "")),
        ("s3://bucket/a/b/", Object("bucket", "a/b")),
    ],
)
def test_an_address_is_a_bucket_and_a_key(uri: str, place: Object) -> None:
    """A slash at the end means nothing."""
    assert split(uri) == place
    assert place.uri == uri.rstrip("/")


@pytest.mark.parametrize("uri", ["", "bucket/key", "s3:/bucket", "s3://", "s3:///key", "/folder"])
def test_what_is_no_address_is_refused(uri: str) -> None:
    """With the form that one has."""
    with pytest.raises(BucketError, match=r"Write it as s3://bucket or s3://bucket/prefix"):
        split(uri)


def test_a_range_of_an_object_is_read(s3: S3) -> None:
    """At the version that was seen."""
    seen = s3.look(THERE)

    assert seen is not None
    assert (seen.size, s3.read(THERE, 199_995, 5, seen.etag)) == (200_000, b"56789")
    assert s3.look(Object("tables", "nowhere")) is None


def test_another_version_is_not_read(s3: S3, bucket: Bucket) -> None:
    """The service refuses the condition, or tells another ETag."""
    bucket.put("changes", b"one")
    seen = s3.look(Object("tables", "changes"))
    bucket.put("changes", b"two")

    assert seen is not None
    with pytest.raises(ObjectConditionError, match="s3://tables/changes is another version"):
        s3.read(Object("tables", "changes"), 0, 3, seen.etag)


def test_a_second_create_is_refused(s3: S3) -> None:
    """As an error of its own, since the caller decides what it means."""
    new = Object("tables", "once")
    s3.call("put_object", new, "writing", {"Body": b"1", "IfNoneMatch": "*"})

    with pytest.raises(ObjectConditionError):
        s3.call("put_object", new, "writing", {"Body": b"2", "IfNoneMatch": "*"})


def test_cut_answers_are_asked_for_again(bucket: Bucket) -> None:
    """From their beginning, so that no byte is missing or doubled."""
    with between(bucket.endpoint) as middle:
        s3 = S3(Service(middle.address), patience=20)
        seen = s3.look(THERE)
        middle.cut(3, after=50_000)

        assert seen is not None
        assert s3.read(THERE, 0, seen.size, seen.etag) == b"0123456789" * 20_000
        assert middle.cuts == 0


def test_a_service_that_stays_away_is_named(unused: str) -> None:
    """With how long it was waited for, and what to check."""
    s3 = S3(Service(unused), patience=0.5)

    with pytest.raises(
        StoreUnreachableError, match=rf"{unused} did not answer for 0\.5 s .*AWS_ENDPOINT_URL"
    ):
        s3.look(THERE)


@pytest.fixture
def unused() -> str:
    """Return an address where nobody listens."""
    return "http://127.0.0.1:1"


def test_a_missing_bucket_is_named(s3: S3) -> None:
    """HEAD alone cannot tell it from a missing object."""
    with pytest.raises(MissingBucketError, match="has no bucket 'nobodys'"):
        s3.require_bucket(Object("nobodys", "x"))
    with pytest.raises(MissingBucketError, match="'nobodys'"):
        s3.call("get_object", Object("nobodys", "x"), "reading")
    s3.require_bucket(THERE)


def test_without_credentials_it_is_said_which(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a traceback of the client."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    with pytest.raises(BucketAccessError, match=r"NoCredentialsError.*AWS_PROFILE"):
        S3(Service(bucket.endpoint)).look(THERE)


def test_what_this_machine_refuses_is_not_laid_on_the_service(s3: S3) -> None:
    """A full disk is told as it is."""

    def fill_the_disk(_files: Any) -> None:
        with Path("/dev/full").open("wb", buffering=0) as full:
            full.write(b"x")

    with pytest.raises(OSError, match="No space left") as caught:
        s3.ask(THERE.uri, "reading", fill_the_disk)
    assert caught.value.errno == errno.ENOSPC


def refusal(code: str, status: int) -> ClientError:
    """Return what the client raises for an answer of a service."""
    return ClientError(
        {"Error": {"Code": code, "Message": "so"}, "ResponseMetadata": {"HTTPStatusCode": status}},
        "GetObject",
    )


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (refusal("AccessDenied", 403), BucketAccessError, "AccessDenied.*AWS_ACCESS_KEY_ID"),
        (refusal("InvalidAccessKeyId", 403), BucketAccessError, "AWS_PROFILE"),
        (refusal("RequestTimeTooSkewed", 403), BucketAccessError, "clock is wrong"),
        (refusal("PermanentRedirect", 301), BucketError, "another region: set AWS_REGION"),
        (refusal("NoSuchBucket", 404), MissingBucketError, "no bucket 'tables'"),
        (refusal("PreconditionFailed", 412), ObjectConditionError, "another version"),
        (refusal("InvalidRequest", 400), BucketError, "InvalidRequest"),
        (FlexibleChecksumError(error_msg="x"), BucketError, "checksums: when_required"),
    ],
)
def test_each_refusal_has_its_remedy(error: Exception, kind: type[BucketError], words: str) -> None:
    """And none of them is asked for again."""
    asked = Asked(Service("http://s3.lan"), THERE.uri, "reading", 1.0)

    ours = explained(error, asked)

    assert not may_pass(error)
    assert type(ours) is kind
    assert ours.args[0]
    with pytest.raises(kind, match=words):
        raise ours


@pytest.mark.parametrize(
    "error",
    [
        refusal("SlowDown", 503),
        refusal("InternalError", 500),
        refusal("ConditionalRequestConflict", 409),
        refusal("502", 502),
        ConnectionResetError(),
        TimeoutError(),
    ],
)
def test_a_busy_service_is_asked_again(error: Exception) -> None:
    """And if it stays so, it counts as away."""
    asked = Asked(Service("http://s3.lan"), THERE.uri, "reading", 1.0)

    assert may_pass(error)
    assert type(explained(error, asked)) is StoreUnreachableError


def test_a_version_has_one_name() -> None:
    """Whether a service wrote it with quotes, as in answers, or without, as rclone lists it."""
    assert quoted("abc") == quoted('"abc"') == '"abc"'
    assert quoted('W/"abc"') == 'W/"abc"'


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_messages_name_the_service_that_is_meant(name: str) -> None:
    """The recipe's, or the environment's, or Amazon's."""
    assert Service().address({}) == "Amazon S3"
    assert Service().address({name: "http://s3.lan"}) == "http://s3.lan"
    assert Service("http://own").address({name: "http://s3.lan"}) == "http://own"
