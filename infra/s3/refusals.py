"""What an error of the S3 client means: whether it may pass by itself, and what else to do."""

from typing import NamedTuple

from aiohttp import ClientError as ConnectionCut
from botocore.exceptions import (
    ClientError,
    CredentialRetrievalError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
)
from botocore.exceptions import ConnectionError as NoConnection

from infra.errors import (
    BucketAccessError,
    BucketError,
    MissingBucketError,
    ObjectConditionError,
    StoreUnreachableError,
)
from infra.s3.address import Service, split

_UNKEYED = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    TokenRetrievalError,
    ProfileNotFound,
)
_CUT = (
    NoConnection,
    HTTPClientError,
    IncompleteReadError,
    ConnectionCut,
    TimeoutError,
    ConnectionError,
)
_BUSY = frozenset({"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable"})
_BUSY_STATUS = frozenset({429, 500, 502, 503, 504})
_RACING = "ConditionalRequestConflict"  # two conditional writes at once: ask again
_ELSEWHERE = frozenset({"PermanentRedirect", "AuthorizationHeaderMalformed", "301"})
_DENIED_STATUS = frozenset({401, 403})
_CONDITION_STATUS = 412


class Asked(NamedTuple):
    """What was asked when an error came: the words of a message."""

    service: Service
    uri: str
    doing: str  # a participle
    patience: float  # seconds


def may_pass(error: Exception) -> bool:
    """Say whether the same request may be answered later: no connection, or a busy service."""
    code, status = _answer(error)
    if code or status:
        return code in _BUSY or code == _RACING or status in _BUSY_STATUS
    return isinstance(error, _CUT)


def explained(error: Exception, asked: Asked) -> BucketError | None:
    """Return the error of ours; None for a missing object, and for what is not the service's."""
    code, status = _answer(error)
    if code == "NoSuchBucket":
        return missing(asked.uri, asked.service)
    if status == _CONDITION_STATUS:
        return another_version(asked.uri)
    if may_pass(error):
        return _unreachable(error, asked)
    if isinstance(error, FileNotFoundError) or (isinstance(error, OSError) and not code):
        return None  # a full disk of this machine is told as it is
    if isinstance(error, _UNKEYED) or status in _DENIED_STATUS:
        return _denied(code or type(error).__name__, asked)
    return _refused(error, code, asked)


def another_version(uri: str) -> ObjectConditionError:
    """Return the error about an object that is not as a request demanded."""
    return ObjectConditionError(
        f"{uri} is another version than the one that was looked at: another process has written "
        "it meanwhile."
    )


def missing(uri: str, service: Service) -> MissingBucketError:
    """Return the error about the bucket of ``uri``."""
    return MissingBucketError(
        f"{service.address()} has no bucket {split(uri).bucket!r} (asked for {uri}). Check the "
        "name and the endpoint (AWS_ENDPOINT_URL, or `endpoint` of the recipe's store), or make "
        "the bucket."
    )


def _answer(error: BaseException) -> tuple[str, int]:
    """Return code and status of a service's refusal; empty where it did not answer."""
    told = error if isinstance(error, ClientError) else error.__cause__
    if not isinstance(told, ClientError):
        return "", 0
    status = told.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return str(told.response.get("Error", {}).get("Code", "")), int(status)


def _denied(code: str, asked: Asked) -> BucketAccessError:
    if code == "RequestTimeTooSkewed":
        return BucketAccessError(
            f"{asked.service.address()} refuses requests for {asked.uri}: this machine's clock is "
            "wrong. Set it (NTP) and try again."
        )
    return BucketAccessError(
        f"Not allowed while {asked.doing} {asked.uri} at {asked.service.address()}: {code}. Check "
        "the credentials that this process sees (AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY) and what they may do there: a store needs listing, reading, "
        "writing and deleting, a model only listing and reading."
    )


def _unreachable(error: Exception, asked: Asked) -> StoreUnreachableError:
    reason = _answer(error)[0] or type(error).__name__
    return StoreUnreachableError(
        f"{asked.service.address()} did not answer for {asked.patience:g} s while {asked.doing} "
        f"{asked.uri} ({reason}). Check that the service runs, the network, and the endpoint "
        "(AWS_ENDPOINT_URL, or `endpoint` of the recipe's store); the same command goes on from "
        "what is finished."
    )


def _refused(error: Exception, code: str, asked: Asked) -> BucketError:
    remedy = "Look the reason up in the service's documentation"
    if code in _ELSEWHERE:
        remedy = (
            "The bucket is in another region: set AWS_REGION, or `region` of the recipe's store"
        )
    if isinstance(error, FlexibleChecksumError):
        remedy = (
            "The service's checksums do not fit what it sends: set `checksums: when_required` in "
            "the recipe's store; digests are verified either way"
        )
    return BucketError(
        f"{asked.service.address()} refused while {asked.doing} {asked.uri}: "
        f"{code or type(error).__name__}: {error}. {remedy}."
    )
