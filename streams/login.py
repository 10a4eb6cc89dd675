"""Whether Kafka lets us in: address, certificate, login. The clients only log the reason, or try again for ever."""

import asyncio
import ssl
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import IllegalSaslStateError, KafkaError, SaslAuthenticationFailed, UnsupportedSaslMechanismError

from contracts.errors import AccessRefused, BrokerUnavailable, DaogouError, SettingsRefused
from contracts.settings import KafkaSettings, Security
from streams.clients import connection

_LOGIN = (SaslAuthenticationFailed, IllegalSaslStateError, UnsupportedSaslMechanismError)


def check_login(settings: KafkaSettings) -> None:
    """Connect to one broker as every client will, and hang up. Blocking; a few hundredths of a second.

    Raises:
        AccessRefused: certificate or login refused.
        SettingsRefused: an address or a file that cannot be.
        BrokerUnavailable: nobody answers, or somebody who does not speak our protocol.
    """
    with ThreadPoolExecutor(1) as thread:  # the caller may stand on a running event loop
        thread.submit(asyncio.run, _try_all(settings)).result()


async def _try_all(settings: KafkaSettings) -> None:
    try:
        hosts: Sequence[tuple[str, int, int]] = collect_hosts(settings.bootstrap_servers)
    except ValueError as error:
        raise SettingsRefused(f"kafka.bootstrap_servers (DAOGOU_KAFKA__BOOTSTRAP_SERVERS): {error}") from error
    errors: list[DaogouError] = []
    for host, port, _ in hosts:
        refusal = await _try(settings, host, port)
        if refusal is None:
            return
        errors.append(refusal)
    raise next((each for each in errors if isinstance(each, AccessRefused)), errors[0])


async def _try(settings: KafkaSettings, host: str, port: int) -> DaogouError | None:
    arguments = connection(settings) | {"request_timeout_ms": int(settings.request_timeout * 1000)}
    del arguments["bootstrap_servers"]
    try:
        await (await create_conn(host, port, **arguments)).close()
    except (KafkaError, OSError) as error:
        return _verdict(settings, f"{host}:{port}", error)
    return None


def _verdict(settings: KafkaSettings, where: str, error: Exception) -> DaogouError:
    if isinstance(error, _LOGIN):
        return AccessRefused(
            f"Kafka at {where} refuses the login {settings.username!r} "
            "(DAOGOU_KAFKA__USERNAME, DAOGOU_KAFKA__PASSWORD; SCRAM-SHA-512)"
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return AccessRefused(
            f"the certificate of Kafka at {where} cannot be trusted: {error.verify_message} (DAOGOU_KAFKA__CA_FILE)"
        )
    if isinstance(error, KafkaError | ssl.SSLError):
        other = "plaintext" if settings.security is not Security.PLAINTEXT else "TLS"
        return BrokerUnavailable(
            f"what answers at {where} hangs up on {settings.security.value}; does it speak {other}? "
            "(DAOGOU_KAFKA__SECURITY)"
        )
    return no_answer(settings, error)


def no_answer(settings: KafkaSettings, error: Exception) -> BrokerUnavailable:
    """The one way to say that nobody is there."""
    return BrokerUnavailable(
        f"no Kafka broker answers at {settings.bootstrap_servers} "
        f"({type(error).__name__}; DAOGOU_KAFKA__BOOTSTRAP_SERVERS or --broker)"
    )
