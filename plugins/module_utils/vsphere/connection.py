# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Log in to vCenter, and out again."""

from __future__ import annotations

import http.client
import ssl
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from ..errors import Hyper2KvmError
from ..tls import CertificateError, pinned_context, unverified_context, verified_context
from .errors import VSphereError, sentence

PYVMOMI_ERROR: str | None = None
try:
    from pyVim.connect import Disconnect, SmartConnect
    from pyVmomi import vim, vmodl
except ImportError:
    PYVMOMI_ERROR = traceback.format_exc()

# Seconds that one answer of vCenter may take.
_ANSWER_TIMEOUT = 120


@dataclass(frozen=True)
class VCenter:
    """Which vCenter, who logs in, and how its certificate is checked."""

    hostname: str
    username: str
    password: str = field(repr=False)
    port: int = 443
    validate_certs: bool = True
    ca_path: str | None = None
    thumbprint: str | None = None
    proxy_host: str | None = None
    proxy_port: int | None = None

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> VCenter:
        """Take a module's options.

        Raises:
            VSphereError: One that is needed was given neither as an option nor in the environment.
        """
        for option, variable in (
            ("hostname", "VMWARE_HOST"),
            ("username", "VMWARE_USER"),
            ("password", "VMWARE_PASSWORD"),
        ):
            if not options[option]:
                raise VSphereError(
                    f"The option {option} of the connection to vCenter is missing.",
                    action=f"Set it, or the environment variable {variable} where the module runs.",
                )
        return cls(**{name: options[name] for name in cls.__dataclass_fields__})

    @property
    def url(self) -> str:
        """Return the address, without anything secret."""
        port = "" if self.port == 443 else f":{self.port}"
        return f"https://{bracketed(self.hostname)}{port}"

    def tls_context(self) -> ssl.SSLContext:
        """Return the context that checks vCenter's certificate as the user asked.

        Raises:
            CertificateError: The CA file or the thumbprint is unusable.
        """
        if self.thumbprint:
            return pinned_context(self.thumbprint)
        if not self.validate_certs:
            return unverified_context()
        return verified_context(self.ca_path)


def bracketed(host: str) -> str:
    """Return a host as it stands in a URL: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


@contextmanager
def session(vcenter: VCenter) -> Iterator[Any]:
    """Log in and yield the vim.ServiceInstance; log out at the end.

    Raises:
        VSphereError: vCenter can't be reached, or refuses the login.
        CertificateError: Its certificate is not the expected one.
    """
    instance = _log_in(vcenter)
    try:
        yield instance
    except vmodl.MethodFault as fault:
        raise VSphereError(f"{vcenter.url} refused: {sentence(fault)}.") from fault
    except (OSError, http.client.HTTPException) as error:
        raise VSphereError(f"The connection to {vcenter.url} broke: {error}.") from error
    finally:
        # A session that vCenter has already ended can't be logged out of.
        with suppress(vmodl.MethodFault, OSError, http.client.HTTPException, Hyper2KvmError):
            Disconnect(instance)


def renew(instance: Any, vcenter: VCenter) -> None:
    """Log in again where vCenter has ended the session; objects found before stay good.

    Raises:
        VSphereError: vCenter can't be reached, or refuses the login.
    """
    try:
        manager = instance.content.sessionManager
        if _session_alive(manager):
            return
        manager.Login(userName=vcenter.username, password=vcenter.password)
    except vmodl.MethodFault as fault:
        raise VSphereError(
            f"{vcenter.url} ended the session and refused a new one: {sentence(fault)}."
        ) from fault


def _session_alive(manager: Any) -> bool:
    try:
        return manager.currentSession is not None
    except vmodl.MethodFault:
        return False


def _log_in(vcenter: VCenter) -> Any:
    try:
        return SmartConnect(
            host=vcenter.hostname,
            port=vcenter.port,
            user=vcenter.username,
            pwd=vcenter.password,
            sslContext=vcenter.tls_context(),
            httpProxyHost=vcenter.proxy_host,
            httpProxyPort=vcenter.proxy_port or 80,
            httpConnectionTimeout=_ANSWER_TIMEOUT,
        )
    except vim.fault.InvalidLogin as fault:
        raise VSphereError(
            f"{vcenter.url} refused the login of {vcenter.username}.",
            action="Check username and password.",
        ) from fault
    except ssl.SSLCertVerificationError as error:
        raise CertificateError(
            f"The certificate of {vcenter.url} is not trusted: {error.verify_message}.",
            action="Name its CA with ca_path, or pin the certificate with thumbprint.",
        ) from error
    except vmodl.MethodFault as fault:
        raise VSphereError(f"{vcenter.url} refused the login: {sentence(fault)}.") from fault
    except (OSError, http.client.HTTPException) as error:
        raise VSphereError(
            f"{vcenter.url} can't be reached: {error}.",
            action="Check hostname, port and proxy, and the network from the machine where the module runs.",
        ) from error
    except Hyper2KvmError:
        raise
    except Exception as error:  # pyVmomi raises bare ones
        raise VSphereError(
            f"{vcenter.url} does not answer as vCenter does: {error}.",
            action="Check hostname, port and proxy.",
        ) from error
