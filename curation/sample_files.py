"""The normalised form of a dataset: one Parquet file, whatever the user uploaded."""


import pyarrow as pa

ROW_GROUP_ROWS = 1024
USER_PREFIX = "user:"
FEATURE_PREFIX = "feature:"
IMAGE_COLUMN = "image"
EMBEDDING_COLUMN = "embedding"
TEXT_COLUMN = "text"

COMMON_FIELDS = (
    pa.field("position", pa.int32(), nullable=False),
    pa.field("sample_id", pa.string(), nullable=False),
    pa.field("file_name", pa.string()),
    pa.field("label", pa.int64(), nullable=False),
    pa.field("is_real", pa.bool_(), nullable=False),
)
