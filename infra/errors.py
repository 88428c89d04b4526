"""Every error that infra raises on purpose: one page, each with its remedy.

InfraError
├── StorageError                a file or folder cannot be read or written
│   ├── DiskFullError           no room: a full disk, a used-up quota, a file-size limit
│   └── NotWritableError        no permission, a read-only file system, or no folder there
├── StoreError                  the artifact store was asked for something it cannot give
│   ├── MissingArtifactError    no object has this digest
│   ├── CorruptArtifactError    an object's bytes no longer have its digest
│   ├── LeaseHeldError          a living process holds the lease
│   ├── LeaseLostError          a lease was not renewed in time: others may go on
│   └── BucketError             a bucket of an S3 service cannot be used as asked
│       ├── MissingBucketError  there is no such bucket
│       ├── BucketAccessError   no credentials, wrong ones, or such as may not do this
│       ├── StoreUnreachableError  the service does not answer, however long one waits
│       ├── ObjectConditionError  another process has written the object meanwhile
│       └── StoreUnfitError     the service ignores what a store is built on
├── ModelError                  a model cannot be found or read
│   ├── ModelNotFoundError      neither a folder here nor a repository that this token may read
│   ├── UnknownRevisionError    the repository has no such branch, tag or commit
│   ├── FolderRevisionError     a revision was asked of a folder, which has none
│   ├── HubUnreachableError     the Hub does not answer, and what is cached does not suffice
│   ├── AbsentModelError        another machine's model folder is not, or not the same, on this one
│   ├── ModelConfigError        config.json is missing, damaged, or of another model
│   └── WeightsError            the weights cannot be used as they are
│       ├── NoWeightsError      there are no safetensors weights
│       ├── BadIndexError       the index of the shards is damaged, or belongs to others
│       ├── MissingShardError   a weight file that the index names is not there
│       ├── TruncatedShardError a weight file is shorter than its header says
│       ├── CorruptShardError   a weight file's header or content is damaged
│       ├── ChangedWeightsError  a weight file is another one than when the run began
│       └── UnknownTensorError  a tensor that the model needs is in no weight file
├── UnknownArchitectureError    a model family that nobody here can read
├── EngineMismatchError         a worker has another version of the engine than its work asks for
├── CalibrationError            a calibration set cannot be drawn as asked
│   ├── CalibrationSourceError  the set as a whole cannot be read: missing, empty, unknown
│   │   └── EncodingError       a text file is not UTF-8
│   ├── BadRowError             one row cannot be used (`reason` is what reports count it under)
│   │   ├── MalformedRowError   it is not JSON, or no object
│   │   ├── MissingColumnError  it lacks the column that is read
│   │   ├── BadTextError        its text is not text
│   │   ├── BadConversationError  unknown roles, turns out of order, stray image marks
│   │   └── BadImageError       its picture cannot be used
│   │       ├── ImagePathError      the path leads out of the images folder
│   │       ├── MissingImageError   no such file
│   │       ├── EmptyImageError     a file of zero bytes
│   │       ├── CorruptImageError   no picture, or one that is cut short
│   │       └── ImageTooLargeError  more pixels than allowed: a decompression bomb
│   ├── TooFewSamplesError      fewer usable rows than samples asked for
│   ├── ProcessorError          the model's tokenizer, processor or chat template cannot be used
│   └── SampleFileError         a file of saved samples is not one
├── EvaluationError             answers cannot be asked for, kept or counted
│   ├── UnknownRulesError       no set of rules has this name
│   ├── BadPredictionError      a line of recorded predictions is none, or a second one of its row
│   ├── MissingPredictionsError  rows of a benchmark have no prediction
│   ├── ForeignPredictionsError  predictions are of rows that the benchmark does not have
│   ├── BenchmarkKindError      a benchmark is not of the kind that it is said to be
│   ├── NotCircularError        a table has no rows whose rotations could be counted
│   ├── CatalogError            a list of benchmarks cannot be read
│   ├── UnknownBenchmarkError   no list has a benchmark of this name
│   ├── TableSourceError        a benchmark's table cannot be had
│   │   ├── MissingTableError   it is not in the folder or bucket, or has no address
│   │   ├── DownloadError       the server does not give it
│   │   └── ChecksumError       what was downloaded is another file
│   ├── TableError              a benchmark's table cannot be used as it is
│   │   ├── TableFormatError    no tab-separated text in UTF-8
│   │   ├── TableColumnError    a column is missing
│   │   ├── EmptyTableError     there is no row to ask about
│   │   ├── RowIndexError       an index is no whole number
│   │   ├── DuplicateRowError   several rows have one index
│   │   ├── TableImageError     an image is no base64, or no whole picture
│   │   ├── ImageReferenceError  an image refers to a row that has none
│   │   └── AnswerError         the right answer is not one that can be given
│   ├── SpreadsheetError        predictions do not fit into a spreadsheet
│   ├── EngineError             a model cannot be asked
│   │   ├── MissingEngineError  the package that runs it is not installed
│   │   ├── PromptError         a question or its picture cannot be put to the model
│   │   ├── EngineMemoryError   not even one question fits into memory
│   │   └── UnansweredError     an engine left out questions, or answered what was not asked
│   ├── PredictionLogError      a file of answers cannot be read or written
│   │   ├── CorruptLogError     a line is damaged, or answers something a second time
│   │   └── LogInUseError       another process is writing it
│   ├── TokenizerDiffersError   a checkpoint makes other tokens of a prompt than its baseline
│   ├── UnloadableCheckpointError  its tensors are not its model's, or cannot be unpacked
│   ├── NonFinitePredictionsError  a model's predictions are not numbers
│   └── ComparisonError         two results cannot be put side by side
│       ├── DifferentTasksError  they are of other benchmarks
│       ├── DifferentRulesError  they are counted by other rules
│       ├── DifferentTablesError  their questions are of other files
│       ├── DifferentRowsError  they answer other questions of a file
│       ├── DifferentBaselinesError  comparisons with several baselines, in one table
│       └── InconsistentScoresError  rows and report of one result do not fit together
├── TriggerError                a tag cannot start a release
│   ├── TagPatternError         a pattern of tags has no place for a version, or catches our own
│   ├── NoticeError             what came in is no notice of a Hub's webhook
│   ├── TriggerMovedError       a tag names another commit than when it was first seen
│   ├── NotWatchedError         no recipe releases what is tagged in this repository
│   ├── ReleaseUnderWayError    another process is releasing the same tag
│   └── CandidateError          what is tagged in a staging repository is no sound candidate
├── PublishError                a release cannot be published as asked
│   ├── MissingTokenError       there is no token where it was to come from, or none to be sent
│   ├── RejectedTokenError      the Hub does not know the token
│   ├── NotAllowedError         the token may not do this here
│   ├── UnknownRepositoryError  the Hub has no such repository, or none that this token sees
│   ├── UnknownReleaseError     the repository has no such release
│   ├── ForeignRepositoryError  the repository holds what no release put there
│   ├── PublicRepositoryError   a private release would become public
│   ├── NotAnExportError        a folder to publish is no export, or its papers lack the card
│   ├── StaleParentError        somebody else wrote to the branch meanwhile
│   ├── TagMovedError           a release's tag is there already, on other files
│   ├── CardRefusedError        the Hub does not take the card's metadata
│   ├── HubFullError            the Hub has no room left
│   ├── TooLargeForHubError     a file or a commit is larger than the Hub takes
│   ├── HubRefusedError         the Hub refuses for another reason, which it names
│   ├── PublishedDiffersError   what the Hub shows after a push is not what was pushed
│   ├── SigningError            nothing can be signed: no package, or no usable key
│   └── BadSignatureError       a signature is not by this key, or not over these files
├── LocalHubError               a Hub of one's own cannot be run as asked
│   ├── HubNameError            a user or an organization of it cannot be called this
│   └── HubPortError            it cannot listen where it should
├── ReleaseFileError            a release.json tells of no release that can be read here
└── CheckpointError             a checkpoint cannot be written or read as asked
    ├── ExportPlanError         what is to be written does not fit together
    ├── OutputExistsError       the output folder is there already
    └── AlreadyQuantizedError   the model to quantize is quantized already

Messages are written where they are raised, as one paragraph: the value, the place, the remedy.
"""

from typing import ClassVar


class InfraError(Exception):
    """Base class: catch this to catch anything that infra raises on purpose."""


class StorageError(InfraError):
    """A file or folder cannot be read or written."""


class DiskFullError(StorageError):
    """No room: a full disk, a used-up quota, or a file-size limit."""


class NotWritableError(StorageError):
    """No permission, a read-only file system, or no folder where one is needed."""


class StoreError(InfraError):
    """The artifact store was asked for something it cannot give."""


class MissingArtifactError(StoreError):
    """No object has this digest."""


class CorruptArtifactError(StoreError):
    """An object's bytes no longer have its digest."""


class LeaseHeldError(StoreError):
    """A living process holds the lease."""

    def __init__(self, what: str, holder: str) -> None:
        """Name what is worked on, and who does it."""
        super().__init__(
            f"{what} is in the hands of {holder}, which is at work. Wait for it to end; the same "
            "command goes on from what it has finished."
        )
        self.holder = holder


class LeaseLostError(StoreError):
    """A lease was not renewed in time, and others may have gone on."""


class BucketError(StoreError):
    """A bucket of an S3 service cannot be used as asked."""


class MissingBucketError(BucketError):
    """There is no such bucket."""


class BucketAccessError(BucketError):
    """There are no credentials, or wrong ones, or such as may not do this."""


class StoreUnreachableError(BucketError):
    """The service does not answer, however long one waits."""


class ObjectConditionError(BucketError):
    """Another process has written the object since it was looked at."""


class StoreUnfitError(BucketError):
    """The service ignores what a store is built on."""


class TriggerError(InfraError):
    """A tag cannot start a release."""


class TagPatternError(TriggerError, ValueError):
    """A pattern of tags has no place for a version, or catches the tags that a release sets."""


class NoticeError(TriggerError, ValueError):
    """What came in is no notice of a Hub's webhook."""


class TriggerMovedError(TriggerError):
    """A tag names another commit than when it was first seen, so it releases nothing."""


class NotWatchedError(TriggerError):
    """No recipe releases what is tagged in this repository."""


class ReleaseUnderWayError(TriggerError):
    """Another process is releasing the same tag."""


class PublishError(InfraError):
    """A release cannot be published as asked."""


class MissingTokenError(PublishError):
    """There is no token where it was to come from, or none that could be sent."""


class RejectedTokenError(PublishError):
    """The Hub does not know the token."""


class NotAllowedError(PublishError):
    """The token may not do this here."""


class UnknownRepositoryError(PublishError):
    """The Hub has no such repository, or none that this token sees."""


class UnknownReleaseError(PublishError):
    """The repository has no such release."""


class ForeignRepositoryError(PublishError):
    """The repository holds what no release put there."""


class PublicRepositoryError(PublishError):
    """A release that is to be private would become public."""


class NotAnExportError(PublishError):
    """A folder to publish is no export, or its papers lack the card."""


class StaleParentError(PublishError):
    """Somebody else wrote to the branch meanwhile."""


class TagMovedError(PublishError):
    """A release's tag is there already, on other files."""


class CardRefusedError(PublishError):
    """The Hub does not take the card's metadata."""


class HubFullError(PublishError):
    """The Hub has no room left."""


class TooLargeForHubError(PublishError):
    """A file or a commit is larger than the Hub takes."""


class HubRefusedError(PublishError):
    """The Hub refuses for another reason, which it names."""


class PublishedDiffersError(PublishError):
    """What the Hub shows after a push is not what was pushed."""


class SigningError(PublishError):
    """Nothing can be signed: the package is not installed, or the key cannot be used."""


class BadSignatureError(PublishError):
    """A signature is not by this key, or not over these files."""


class CandidateError(TriggerError):
    """What is tagged in a staging repository is no sound candidate for a release."""


class CheckpointError(InfraError):
    """A checkpoint cannot be written or read as asked."""


class ExportPlanError(CheckpointError, ValueError):
    """What is to be written does not fit together."""


class OutputExistsError(CheckpointError):
    """The output folder is there already, or is being written by another run."""


class AlreadyQuantizedError(CheckpointError):
    """The model to quantize is quantized already."""


class EngineMismatchError(InfraError):
    """A worker has another version of the engine than its work asks for."""


class UnknownArchitectureError(InfraError, ValueError):
    """A model family that nobody here can read."""

    def __init__(self, *, name: str, known: list[str]) -> None:
        """Name the family and the ones that are known."""
        super().__init__(
            f"The architecture {name!r} in config.json is not one that can be quantized here. "
            f"Known: {', '.join(known)}. A new family needs an adapter beside "
            "infra/models/qwen2_vl.py."
        )


class CalibrationError(InfraError, ValueError):
    """A calibration set cannot be drawn as asked."""


class CalibrationSourceError(CalibrationError):
    """The set as a whole cannot be read: missing, empty, or of an unknown revision."""


class EncodingError(CalibrationSourceError):
    """A text file is not UTF-8."""


class BadRowError(CalibrationError):
    """One row cannot be used."""

    reason: ClassVar[str] = "bad_row"  # what a report counts it under


class MalformedRowError(BadRowError):
    """The row is not JSON, or not an object."""

    reason: ClassVar[str] = "malformed_row"


class MissingColumnError(BadRowError):
    """The row lacks the column that is read."""

    reason: ClassVar[str] = "missing_column"


class BadTextError(BadRowError):
    """The row's text is not text."""

    reason: ClassVar[str] = "bad_text"


class BadConversationError(BadRowError):
    """The row's conversation has unknown roles, turns out of order, or stray image marks."""

    reason: ClassVar[str] = "bad_conversation"


class BadImageError(BadRowError):
    """The row's picture cannot be used."""

    reason: ClassVar[str] = "bad_image"


class ImagePathError(BadImageError):
    """The picture's path leads out of the images folder."""

    reason: ClassVar[str] = "image_path"


class MissingImageError(BadImageError):
    """There is no such picture file."""

    reason: ClassVar[str] = "missing_image"


class EmptyImageError(BadImageError):
    """The picture file has zero bytes."""

    reason: ClassVar[str] = "empty_image"


class CorruptImageError(BadImageError):
    """The file is no picture, or one that is cut short."""

    reason: ClassVar[str] = "corrupt_image"


class ImageTooLargeError(BadImageError):
    """The picture has more pixels than allowed: a decompression bomb, or a mistake."""

    reason: ClassVar[str] = "image_too_large"


class TooFewSamplesError(CalibrationError):
    """The set has fewer usable rows than samples were asked for."""


class ProcessorError(CalibrationError):
    """The model's tokenizer, processor or chat template cannot be used."""


class SampleFileError(CalibrationError):
    """A file of saved samples is not one."""


class ModelError(InfraError):
    """A model cannot be found or read."""


class ModelNotFoundError(ModelError):
    """Neither a folder here nor a repository that this token may read has this name."""


class UnknownRevisionError(ModelError):
    """The repository has no such branch, tag or commit."""


class FolderRevisionError(ModelError, ValueError):
    """A revision was asked of a folder, which has none."""


class HubUnreachableError(ModelError):
    """The Hub does not answer, and what is cached does not suffice."""


class AbsentModelError(ModelError):
    """A model that another machine has named is not on this one, or is another one here."""


class ModelConfigError(ModelError):
    """The model's config.json is missing, no JSON object, or belongs to another model."""


class WeightsError(ModelError):
    """The weights cannot be used as they are."""


class NoWeightsError(WeightsError):
    """There are no safetensors weights."""


class BadIndexError(WeightsError):
    """The index of the shards is damaged, or belongs to other shards."""


class MissingShardError(WeightsError):
    """A weight file that the index names is not there."""


class TruncatedShardError(WeightsError):
    """A weight file is shorter than its header says."""


class CorruptShardError(WeightsError):
    """A weight file's header or content is damaged."""


class ChangedWeightsError(WeightsError):
    """A weight file is another one than when the run began, or is gone."""


class UnknownTensorError(WeightsError):
    """A tensor that the model needs is in no weight file."""


class EvaluationError(InfraError):
    """Answers cannot be asked for, kept or counted as asked."""


class TokenizerDiffersError(EvaluationError):
    """A checkpoint makes other tokens of a prompt than its baseline."""


class UnloadableCheckpointError(EvaluationError):
    """A checkpoint's tensors are not those that its model has, or cannot be unpacked."""


class NonFinitePredictionsError(EvaluationError):
    """A model's predictions are not numbers, so nothing can be compared with them."""


class EngineError(EvaluationError):
    """A model cannot be asked."""


class MissingEngineError(EngineError):
    """The package that runs the engine is not installed."""


class PromptError(EngineError):
    """A question or its picture cannot be put to the model."""


class EngineMemoryError(EngineError):
    """Not even one question fits into memory."""


class UnansweredError(EngineError):
    """An engine left questions out, or answered what was not asked."""


class PredictionLogError(EvaluationError):
    """A file of answers cannot be read or written."""


class CorruptLogError(PredictionLogError):
    """A line of a file of answers is damaged, or answers something a second time."""


class LogInUseError(PredictionLogError):
    """Another process is writing this file of answers."""


class ComparisonError(EvaluationError):
    """Two results cannot be put side by side."""


class DifferentTasksError(ComparisonError):
    """The results are of other benchmarks, or of none."""


class DifferentRulesError(ComparisonError):
    """The results are counted by other rules."""


class DifferentTablesError(ComparisonError):
    """The questions are of other files."""


class DifferentRowsError(ComparisonError):
    """The results answer other questions of a file."""


class DifferentBaselinesError(ComparisonError):
    """Comparisons with several baselines, or none, do not make one table."""


class InconsistentScoresError(ComparisonError):
    """Rows and report of one result do not fit together."""

    def __init__(self, *, benchmark: str, problem: str) -> None:
        """Name the benchmark, and what does not fit."""
        super().__init__(
            f"The scores of {benchmark} cannot be compared: {problem}. They were changed after "
            "scoring, or written by something else; score the recorded answers again."
        )


class UnknownRulesError(EvaluationError):
    """No set of rules has this name."""


class BadPredictionError(EvaluationError):
    """A line of a file of predictions is none, or a second one of its row."""


class MissingPredictionsError(EvaluationError):
    """Rows of a benchmark have no prediction, so there is no score."""


class ForeignPredictionsError(EvaluationError):
    """Predictions are of rows that the benchmark does not have."""


class BenchmarkKindError(EvaluationError):
    """A benchmark is not of the kind that it is said to be."""


class NotCircularError(EvaluationError):
    """A table has no rows whose rotations could be counted."""


class CatalogError(EvaluationError):
    """A list of benchmarks cannot be read, or says what no benchmark can be."""


class UnknownBenchmarkError(EvaluationError):
    """No list has a benchmark of this name."""


class TableSourceError(EvaluationError):
    """A benchmark's table cannot be had."""


class MissingTableError(TableSourceError):
    """The table is not in the folder or bucket, or has no address to download it from."""


class DownloadError(TableSourceError):
    """The server does not give the table, or it was replaced meanwhile."""


class ChecksumError(TableSourceError):
    """What was downloaded is not the file that was expected."""


class TableError(EvaluationError):
    """A benchmark's table cannot be used as it is."""


class TableFormatError(TableError):
    """The file is no tab-separated text in UTF-8, or rows have more cells than columns."""


class TableColumnError(TableError):
    """A column is missing."""


class EmptyTableError(TableError):
    """There is no row to ask about."""


class RowIndexError(TableError):
    """A row's index is no whole number."""


class DuplicateRowError(TableError):
    """Several rows have one index."""


class TableImageError(TableError):
    """A row's image is no base64, or no whole picture."""


class ImageReferenceError(TableError):
    """A row's image refers to a row that has none."""


class AnswerError(TableError):
    """A row's right answer is not one that can be given."""


class SpreadsheetError(EvaluationError):
    """Predictions do not fit into a spreadsheet."""


class ReleaseFileError(InfraError, ValueError):
    """A release.json tells of no release that can be read here."""


class LocalHubError(InfraError):
    """A Hub of one's own cannot be run as asked."""


class HubNameError(LocalHubError, ValueError):
    """A user or an organization of the Hub cannot be called this."""


class HubPortError(LocalHubError):
    """The Hub cannot listen where it should."""
