"""The .litertlm file: a core, its tokenizer and a few facts in one file, for LiteRT-LM, Google's runtime on devices."""

import tempfile
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from litert_lm_builder import litertlm_builder
from litert_lm_builder.runtime.proto import llm_metadata_pb2

from autocomplete.common.files import replacing_file, sha256


@dataclass(frozen=True)
class Facts:
    """What LiteRT-LM must be told: what it puts before a prompt, ends before, and never says."""

    max_num_tokens: int
    stop_token_ids: Sequence[int]
    start_token_id: int | None
    suppress_token_ids: Sequence[int] = ()


def write(core: Path, tokenizer: Path, facts: Facts, path: Path) -> None:
    """Writes a bundle whose bytes depend on the inputs alone; a killed process leaves the old file or the new one.

    Args:
      core: a .tflite file with the signatures `prefill_<n>` and `decode`.
      tokenizer: a tokenizer.json of Hugging Face's tokenizers.
      facts: what the runtime must know beside these two.
      path: where the bundle goes. The runtime's weight cache tells bundles apart by name, size and whole seconds of
        the file's time only, so a name should say the version.
    """
    with tempfile.TemporaryDirectory() as folder, replacing_file(path) as file:
        builder = _builder(core, tokenizer, _metadata(facts), Path(folder))
        # The builder adds a random UUID and the date to every file; `list` leaves the entries as they are.
        with mock.patch.object(litertlm_builder, "populate_system_metadata", list):
            builder.build(file)


def _builder(core: Path, tokenizer: Path, metadata: bytes, folder: Path) -> litertlm_builder.LitertLmFileBuilder:
    """A builder that holds the three sections and a UUID made of their contents; it reads metadata from `folder`."""
    described = folder / "metadata.pb"
    described.write_bytes(metadata)
    name = uuid.uuid5(uuid.NAMESPACE_OID, " ".join(sha256(p) for p in (described, tokenizer, core)))
    builder = litertlm_builder.LitertLmFileBuilder()
    builder.add_system_metadata(litertlm_builder.Metadata("uuid", str(name), litertlm_builder.DType.STRING))
    builder.add_llm_metadata(str(described))
    builder.add_hf_tokenizer(str(tokenizer))
    builder.add_tflite_model(str(core), litertlm_builder.TfLiteModelType.PREFILL_DECODE)
    return builder


def _metadata(facts: Facts) -> bytes:
    """LiteRT-LM's LlmMetadata, for plain completion: no template, no thinking, no function calls."""
    start = facts.start_token_id
    metadata = llm_metadata_pb2.LlmMetadata(
        start_token=None if start is None else _token(start),
        stop_tokens=[_token(i) for i in facts.stop_token_ids],
        max_num_tokens=facts.max_num_tokens,
        suppress_tokens={"ids": facts.suppress_token_ids} if facts.suppress_token_ids else None,
        llm_model_type={"generic_model": {}},
        supports_thinking=False,
        supports_function_calling=False,
    )
    return bytes(metadata.SerializeToString(deterministic=True))


def _token(index: int) -> dict[str, dict[str, list[int]]]:
    return {"token_ids": {"ids": [index]}}
