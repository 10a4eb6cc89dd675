"""How each Kafka client is told where the brokers are and who we are."""

import ssl
from typing import Any

from contracts.errors import SettingsRefused
from contracts.settings import KafkaSettings, Security


def ssl_context(settings: KafkaSettings) -> ssl.SSLContext | None:
    """TLS with the shop's own authority, or the system's; None for plaintext. Raises: SettingsRefused."""
    if settings.security is Security.PLAINTEXT:
        return None
    try:
        return ssl.create_default_context(cafile=str(settings.ca_file) if settings.ca_file else None)
    except OSError as error:  # ssl.SSLError is one
        raise SettingsRefused(
            f"kafka.ca_file (DAOGOU_KAFKA__CA_FILE): {settings.ca_file} holds no PEM certificates ({error.strerror})"
        ) from error


def connection(settings: KafkaSettings) -> dict[str, Any]:
    """Keyword arguments that aiokafka and kafka-python share."""
    arguments: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap_servers,
        "security_protocol": settings.security.value,
        "ssl_context": ssl_context(settings),
    }
    if settings.security is Security.SASL_SSL:
        arguments |= {
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": settings.username,
            "sasl_plain_password": settings.password.get_secret_value(),
        }
    return arguments
