# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the URL of a lease is reached, and how its server's certificate is checked."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from urllib.parse import quote, urlsplit, urlunsplit

from ..tls import pinned_context, unverified_context, verified_context
from ..transfer.http_body import STALL_TIMEOUT, Endpoint
from ..vsphere.connection import VCenter, bracketed
from ..vsphere.lease import DeviceUrl
from .errors import ExportError

# What a path and a query may hold as it is (RFC 3986, 3.3 and 3.4).
_SAFE = "%/?:@!$&'()*+,;=-._~"


def endpoint_of(
    url: DeviceUrl,
    vcenter: VCenter,
    host_map: Mapping[str, str],
    stall_timeout: float = STALL_TIMEOUT,
) -> Endpoint:
    """Return where to fetch a file of a lease.

    Args:
        url: What the lease says.
        vcenter: The connection that the lease came over.
        host_map: Addresses for host names that don't resolve.
        stall_timeout: Seconds without a byte after which the connection counts as stalled.

    Raises:
        ExportError: The URL is none that can be used.
    """
    # A host that serves its own lease writes "*" for itself: the host that we connected to.
    text = url.url.replace("://*", f"://{bracketed(vcenter.hostname)}", 1)
    try:
        parts = urlsplit(text)
        usable = parts.scheme == "https" and parts.hostname and parts.port != 0
    except ValueError:  # a port that is none, brackets that don't close
        usable = False
    if not usable:
        # The URL is not shown: its ticket authorises the download.
        raise ExportError(f"The lease offers {url.key} at a URL that is not https, or broken.")
    # What no request line may hold, such as a space, is escaped; what is escaped stays so.
    parts = parts._replace(
        path=quote(parts.path, safe=_SAFE), query=quote(parts.query, safe=_SAFE), fragment=""
    )
    proxy = (vcenter.proxy_host, vcenter.proxy_port or 80) if vcenter.proxy_host else None
    return Endpoint(
        url=urlunsplit(parts),
        context=_context(url, vcenter, own_host="://*" in url.url),
        address=host_map.get(parts.hostname or ""),
        proxy=proxy,
        stall_timeout=stall_timeout,
    )


def _context(url: DeviceUrl, vcenter: VCenter, own_host: bool) -> ssl.SSLContext:
    if not vcenter.validate_certs and not vcenter.thumbprint:
        return unverified_context()
    # The thumbprint came over the verified connection to vCenter.
    if url.thumbprint:
        return pinned_context(url.thumbprint)
    return vcenter.tls_context() if own_host else verified_context(vcenter.ca_path)
