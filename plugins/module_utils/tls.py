# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a server's certificate is checked: by a CA, by its thumbprint, or, at the user's word, not."""

from __future__ import annotations

import hashlib
import hmac
import ssl
from typing import Any

from .errors import Hyper2KvmError

# A thumbprint's length in bytes tells which digest of the certificate it is.
_DIGESTS = {20: hashlib.sha1, 32: hashlib.sha256}


class CertificateError(Hyper2KvmError):
    """A server showed a certificate that it should not have, or the means to check it are wrong."""


def parse_thumbprint(text: str) -> bytes:
    """Return the digest that a thumbprint such as C(AB:CD:…) writes out.

    Raises:
        CertificateError: It is no SHA-1 or SHA-256 digest in hexadecimal.
    """
    try:
        digest = bytes.fromhex(text.replace(":", "").strip())
    except ValueError:
        digest = b""
    if len(digest) not in _DIGESTS:
        raise CertificateError(
            f"{text!r} is no certificate thumbprint.",
            action="Give 20 bytes (SHA-1) or 32 bytes (SHA-256) in hexadecimal, with colons or not.",
        )
    return digest


class PinnedContext(ssl.SSLContext):
    """A TLS context that accepts one certificate, checked on every connection that it makes."""

    digest: bytes

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        """Make the TLS connection and check the certificate before anything is sent over it.

        Raises:
            CertificateError: The server showed another certificate.
        """
        connection = super().wrap_socket(*args, **kwargs)
        try:
            self.check(connection.getpeercert(binary_form=True), connection.getpeername()[0])
        except CertificateError:
            connection.close()
            raise
        return connection

    def check(self, certificate: bytes | None, peer: str) -> None:
        """Check what a server has shown.

        Args:
            certificate: In DER form.
            peer: The server's name or address, for the error.

        Raises:
            CertificateError: It is another certificate than the pinned one.
        """
        shown = _DIGESTS[len(self.digest)](certificate or b"").digest()
        if not hmac.compare_digest(shown, self.digest):
            raise CertificateError(
                f"{peer} showed a certificate with the thumbprint {shown.hex(':').upper()}, "
                f"expected was {self.digest.hex(':').upper()}.",
                action="Find out whether the certificate was renewed or somebody stands between.",
            )


class _PinnedObject(ssl.SSLObject):
    """What a PinnedContext's wrap_bio() returns: its handshake ends with the check."""

    def do_handshake(self) -> None:
        super().do_handshake()
        context = self.context
        if not isinstance(context, PinnedContext):
            raise TypeError("only a PinnedContext makes pinned connections")
        context.check(self.getpeercert(binary_form=True), self.server_hostname or "The server")


def pinned_context(thumbprint: str) -> PinnedContext:
    """Return a context that accepts only the certificate with this thumbprint.

    Raises:
        CertificateError: The thumbprint can't be read.
    """
    context = PinnedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.digest = parse_thumbprint(thumbprint)
    context.sslobject_class = _PinnedObject
    _accept_any_ca(context)
    return context


def verified_context(ca_path: str | None) -> ssl.SSLContext:
    """Return a context that checks name and certificate against a CA.

    Args:
        ca_path: A PEM file of CA certificates; None takes the system's store, or what
            SSL_CERT_FILE names.

    Raises:
        CertificateError: The file can't be read or holds no certificate.
    """
    try:
        return ssl.create_default_context(cafile=ca_path)
    except (OSError, ssl.SSLError) as error:
        raise CertificateError(
            f"The CA certificates in {ca_path} can't be read: {error}.",
            action="ca_path must name a PEM file on the machine where the module runs.",
        ) from error


def unverified_context() -> ssl.SSLContext:
    """Return a context that accepts any certificate: the user's choice (validate_certs: false)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _accept_any_ca(context)
    return context


def _accept_any_ca(context: ssl.SSLContext) -> None:
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
