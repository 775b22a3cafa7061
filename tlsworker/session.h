#ifndef POSTERN_TLSWORKER_SESSION_H_
#define POSTERN_TLSWORKER_SESSION_H_

#include <openssl/ssl.h>

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/deadline.h"
#include "base/unique_fd.h"
#include "ipc/messages.h"
#include "tlsworker/context.h"

namespace postern::tlsworker {

// Server side of TLS on a blocking socket, which it never makes non-blocking: MSG_DONTWAIT and poll(2) instead.
// `socket` and `control` are borrowed.
absl::StatusOr<SslPtr> NewSession(SSL_CTX* context, int socket);

// To be called before SSL_read() and the like: OpenSSL goes from one record that carries no octets (KeyUpdate, alerts)
// to the next by itself, and a client that never stops sending them would never let us look at the clock. So it may
// read a few times, and then comes back wanting to read.
void AllowReads(SSL* ssl);

// The handshake, until `deadline`, whatever the client does meanwhile. InvalidArgument: the client failed it, and has
// been sent an alert where TLS knows one. DeadlineExceeded, Cancelled: as role::Wait().
absl::Status Handshake(SSL* ssl, int socket, int control, const base::Deadline& deadline);

ipc::TlsFacts Facts(const SSL* ssl);

// Whether more records follow the next at once: the kernel then need not send that one by itself. Say no before the
// last.
void SetMore(SSL* ssl, bool more);

// After the last octet: lets the client read it. Shuts the socket's write side down, then takes and drops what the
// client still sends until it closes too, for at most two seconds: closing with octets unread would send a reset, which
// may overtake what we said last.
void Linger(int socket, int control);

// The end of a session that has no backend: says `text`, a line or nothing, then close_notify, then as Linger().
void SayAndClose(SSL* ssl, int socket, int control, absl::string_view text);

}  // namespace postern::tlsworker

#endif  // POSTERN_TLSWORKER_SESSION_H_
