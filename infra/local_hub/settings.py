"""What a Hub of one's own can be told."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

MIB = 1 << 20


class HubSettings(BaseModel):
    """Where a Hub keeps its data, and how much it takes at once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    root: Path = Field(description="Folder of everything that the Hub keeps.")
    public_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/\s]+$",
        description="What clients call it, where a proxy stands before it; else what they ask for.",
    )
    max_json_bytes: int = Field(default=4 * MIB, gt=0, description="Longest body of a request.")
    max_commit_bytes: int = Field(
        default=64 * MIB, gt=0, description="Longest body of a commit: its small files in base64."
    )
    max_lfs_bytes: int = Field(default=512 << 30, gt=0, description="Largest large file.")
    max_files: int = Field(default=25_000, gt=0, description="Most operations in one commit.")
    lfs_threshold: int = Field(default=10 * MIB, gt=0, description="From here a file is large.")
    part_bytes: int = Field(default=64 * MIB, gt=0, description="Parts that uploads come in.")
    upload_seconds: int = Field(
        default=6 * 3600, gt=0, description="How long an upload address is good for."
    )
    xet: bool = Field(
        default=True,
        description="Let clients on this machine write through xet, straight into the folder.",
    )
    webhook_attempts: int = Field(default=4, gt=0, description="Tries until a delivery is failed.")
    webhook_seconds: float = Field(default=10.0, gt=0, description="Patience with a receiver.")
    webhook_pause_seconds: float = Field(
        default=2.0, ge=0, description="Pause before the second try; doubled for each one after it."
    )
    deliveries_kept: int = Field(default=200, gt=0, description="Finished deliveries kept a hook.")
