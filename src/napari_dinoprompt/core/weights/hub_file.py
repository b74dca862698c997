"""What a hub says of a file before it is fetched: its size, checksum and address."""

from __future__ import annotations

import re
from dataclasses import dataclass

from napari_dinoprompt.core.errors import FetchError
from napari_dinoprompt.core.explaining import first_line
from napari_dinoprompt.core.weights.search import Dinov2Weights, how_by_hand
from napari_dinoprompt.core.weights.transfer import http_errors

__all__ = ["WEIGHTS_FILE", "HubFile", "ask_hub", "hub_endpoint"]

WEIGHTS_FILE = "model.safetensors"

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class HubFile:
    """The weights of a model on a hub.

    Attributes
    ----------
    weights : Dinov2Weights
    endpoint : str
        Address of the hub.
    url : str
        Of the file, in the version that the other attributes speak of.
    size : int
        In bytes.
    sha256 : str
        64 hexadecimal digits; also its name in the Hugging Face cache.
    """

    weights: Dinov2Weights
    endpoint: str
    url: str
    size: int
    sha256: str


def hub_endpoint() -> str:
    """Return the address of the hub: the library's, or the user's ``HF_ENDPOINT``."""
    from huggingface_hub import constants

    return str(constants.ENDPOINT)


def ask_hub(weights: Dinov2Weights, endpoint: str | None = None) -> HubFile:
    """Ask a hub for the weights of a model; nothing is downloaded."""
    from huggingface_hub import constants, get_hf_file_metadata, get_session, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError

    endpoint = (endpoint or hub_endpoint()).rstrip("/")
    by_hand = how_by_hand(weights.timm_name)
    if constants.HF_HUB_OFFLINE:
        msg = (
            f"The weights of {weights.name} are not fetched: HF_HUB_OFFLINE says that "
            f"this machine is offline. Unset it, {by_hand}"
        )
        raise FetchError(msg)
    client = get_session()
    url = hf_hub_url(weights.hub_id, WEIGHTS_FILE, endpoint=endpoint)
    try:
        said = get_hf_file_metadata(url, timeout=constants.HF_HUB_ETAG_TIMEOUT)
    except HfHubHTTPError as error:
        msg = (
            f"The hub {endpoint} does not give {weights.hub_id}: it answers "
            f"{error.response.status_code}. Try again later, {by_hand}"
        )
        raise FetchError(msg) from error
    except (http_errors(client), OSError, ValueError) as error:
        reason = first_line(error)
        msg = (
            f"The hub {endpoint} cannot be reached ({reason}). Check the network, "
            f"HF_ENDPOINT and the proxy, {by_hand}"
        )
        raise FetchError(msg) from error
    sha256 = said.etag or ""
    if said.commit_hash is None or said.size is None or not _SHA256.fullmatch(sha256):
        msg = (
            f"What answers at {endpoint} says neither version nor checksum of "
            f"{weights.hub_id}, as a hub does; a proxy or the login page of the "
            f"network may be in between. Check that, {by_hand}"
        )
        raise FetchError(msg)
    fixed = hf_hub_url(
        weights.hub_id, WEIGHTS_FILE, revision=said.commit_hash, endpoint=endpoint
    )
    return HubFile(weights, endpoint, fixed, said.size, sha256)
