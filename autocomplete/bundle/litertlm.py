"""The .litertlm file: a core, its tokenizer and metadata in one file, for LiteRT-LM, Google's runtime on devices."""

import tempfile
import uuid
from pathlib import Path
from unittest import mock

from litert_lm_builder import litertlm_builder
from litert_lm_builder.runtime.proto import llm_metadata_pb2

from autocomplete.bundle.contract import LitertLm
from autocomplete.common.files import replacing_file, sha256


def write(core: Path, tokenizer: Path, settings: LitertLm, path: Path) -> None:
    """Writes a file whose bytes depend on the inputs alone; a killed process leaves the old file or the new one.

    Args:
      core: a .tflite file with the signatures `prefill_<n>` and `decode`.
      tokenizer: a tokenizer.json of Hugging Face's tokenizers.
      settings: what the runtime must know beside these two.
      path: where the file goes. The runtime's weight cache tells files apart only by name, size and the whole seconds
        of their time, so the name should hold the version.
    """
    with tempfile.TemporaryDirectory() as folder, replacing_file(path) as file:
        builder = _builder(core, tokenizer, _metadata(settings), Path(folder))
        # The builder adds a random UUID and the date to every file. `list` leaves the entries as they are.
        with mock.patch.object(litertlm_builder, "populate_system_metadata", list):
            builder.build(file)


def _builder(core: Path, tokenizer: Path, metadata: bytes, folder: Path) -> litertlm_builder.LitertLmFileBuilder:
    """A builder that holds the three sections and a UUID made of their contents; it reads metadata from `folder`."""
    metadata_file = folder / "metadata.pb"
    metadata_file.write_bytes(metadata)
    name = uuid.uuid5(uuid.NAMESPACE_OID, " ".join(sha256(p) for p in (metadata_file, tokenizer, core)))
    builder = litertlm_builder.LitertLmFileBuilder()
    builder.add_system_metadata(litertlm_builder.Metadata("uuid", str(name), litertlm_builder.DType.STRING))
    builder.add_llm_metadata(str(metadata_file))
    builder.add_hf_tokenizer(str(tokenizer))
    builder.add_tflite_model(str(core), litertlm_builder.TfLiteModelType.PREFILL_DECODE)
    return builder


def _metadata(settings: LitertLm) -> bytes:
    """LiteRT-LM's LlmMetadata, for plain completion: no template, no thinking, no function calls."""
    start = settings.start_token_id
    metadata = llm_metadata_pb2.LlmMetadata(
        start_token=None if start is None else _token(start),
        stop_tokens=[_token(i) for i in settings.stop_token_ids],
        max_num_tokens=settings.max_num_tokens,
        suppress_tokens={"ids": settings.suppress_token_ids} if settings.suppress_token_ids else None,
        llm_model_type={"generic_model": {}},
        supports_thinking=False,
        supports_function_calling=False,
    )
    return bytes(metadata.SerializeToString(deterministic=True))


def _token(index: int) -> dict[str, dict[str, list[int]]]:
    return {"token_ids": {"ids": [index]}}
