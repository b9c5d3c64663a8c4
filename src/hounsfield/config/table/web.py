"""Options of the HTTP server: ports, users, encryption, limits."""

from hounsfield.config.option import Effect, Kind, Option, Section

_WEBDAV = "there is no WebDAV yet"

HTTP = Section(
    "HTTP server",
    (
        Option("HttpServerEnabled", Kind.BOOLEAN, True, "Serve HTTP: the REST API and the Explorer."),
        Option("HttpPort", Kind.COUNT, 8042, "TCP port of HTTP.", minimum=1, maximum=65535),
        Option(
            "HttpBindAddresses",
            Kind.TEXTS,
            [],
            "IP addresses to listen on. When empty: all of them if `RemoteAccessAllowed`, else 127.0.0.1.",
            since="1.12.10",
        ),
        Option("HttpThreadsCount", Kind.COUNT, 50, "Threads that work on requests.", minimum=1),
        Option(
            "HttpRequestTimeout", Kind.COUNT, 30, "How long a client may take to send a request.", unit="s"
        ),
        Option("KeepAlive", Kind.BOOLEAN, True, "Allow several requests on one connection."),
        Option(
            "KeepAliveTimeout",
            Kind.COUNT,
            1,
            "How long an idle connection stays open.",
            unit="s",
            since="1.11.3",
        ),
        Option(
            "TcpNoDelay",
            Kind.BOOLEAN,
            True,
            "Send small packets at once (no Nagle algorithm).",
            effect=Effect.IGNORED,
            reason="small packets are always sent at once",
        ),
        Option(
            "HttpCompressionEnabled",
            Kind.BOOLEAN,
            False,
            "Compress answers for clients that accept it.",
        ),
        Option("HttpDescribeErrors", Kind.BOOLEAN, True, "Explain an error in the body of the answer."),
        Option(
            "MaximumRequestBodySizeMB",
            Kind.COUNT,
            8192,
            "Largest body of a request; 0 for no limit.",
            unit="MB",
            since="1.12.11",
        ),
        Option(
            "MaximumFileSizeInArchiveMB",
            Kind.COUNT,
            4096,
            "Largest file inside an uploaded archive, once decompressed; 0 for no limit.",
            unit="MB",
        ),
        Option(
            "ResumableUploadMaximumSizeMB",
            Kind.COUNT,
            0,
            "Largest resumable upload (`/uploads`); 0 for as much as the disk has room for.",
            unit="MB",
        ),
        Option(
            "ResumableUploadMaximumCount",
            Kind.COUNT,
            1000,
            "Resumable uploads that may be under way, or remembered; 0 for no limit.",
        ),
        Option(
            "ResumableUploadExpiration",
            Kind.COUNT,
            86400,
            "How long a resumable upload is kept to which nothing more comes; 0 for ever.",
            unit="s",
        ),
        Option("OrthancExplorerEnabled", Kind.BOOLEAN, True, "Serve the Explorer."),
    ),
)

ACCESS = Section(
    "Access control",
    (
        Option(
            "RemoteAccessAllowed",
            Kind.BOOLEAN,
            False,
            "Answer HTTP requests from other machines than this one.",
        ),
        Option(
            "AuthenticationEnabled",
            Kind.BOOLEAN,
            None,
            "Ask for a user and a password; when not set, as `RemoteAccessAllowed`. With remote access, false "
            "gives everybody everything.",
        ),
        Option(
            "RegisteredUsers",
            Kind.OBJECT,
            None,
            'Users and passwords: `{ "alice": "secret" }`. Needed with remote access and authentication; '
            "an empty object lets nobody in.",
        ),
        Option(
            "SslEnabled",
            Kind.BOOLEAN,
            False,
            "Serve HTTPS instead of HTTP.",
        ),
        Option(
            "SslCertificate",
            Kind.PATH,
            "certificate.pem",
            "PEM file with the certificate and its private key.",
        ),
        Option(
            "SslVerifyPeers",
            Kind.BOOLEAN,
            False,
            "Demand a certificate from clients.",
        ),
        Option(
            "SslTrustedClientCertificates",
            Kind.PATH,
            "trustedClientCertificates.pem",
            "PEM file with the authorities that clients' certificates must come from.",
        ),
        Option(
            "SslMinimumProtocolVersion",
            Kind.COUNT,
            4,
            "Oldest TLS accepted: 4 for TLS 1.2, 5 for TLS 1.3. Smaller numbers are taken for 4 (RFC 8996).",
            maximum=5,
        ),
        Option(
            "SslCiphersAccepted",
            Kind.TEXTS,
            None,
            "OpenSSL names of the ciphers; a sound list when not set.",
        ),
        Option(
            "WebDavEnabled",
            Kind.BOOLEAN,
            True,
            "Serve the archive as a WebDAV folder.",
            effect=Effect.IGNORED,
            reason=_WEBDAV,
        ),
        Option(
            "WebDavDeleteAllowed",
            Kind.BOOLEAN,
            False,
            "Allow deletions over WebDAV.",
            effect=Effect.IGNORED,
            reason=_WEBDAV,
        ),
        Option(
            "WebDavUploadAllowed",
            Kind.BOOLEAN,
            True,
            "Allow uploads over WebDAV.",
            effect=Effect.IGNORED,
            reason=_WEBDAV,
        ),
        Option(
            "ExecuteLuaEnabled",
            Kind.BOOLEAN,
            False,
            "Run Lua code that clients send.",
        ),
        Option(
            "RestApiWriteToFileSystemEnabled",
            Kind.BOOLEAN,
            False,
            "Let clients write instances to files of the server's machine, by `POST /instances/{id}/export`.",
        ),
    ),
)
