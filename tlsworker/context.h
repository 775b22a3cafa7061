#ifndef POSTERN_TLSWORKER_CONTEXT_H_
#define POSTERN_TLSWORKER_CONTEXT_H_

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace postern::tlsworker {

struct SslDeleter {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};
using ContextPtr = std::unique_ptr<SSL_CTX, SslDeleter>;
using SslPtr = std::unique_ptr<SSL, SslDeleter>;

// Call once, before anything else of OpenSSL: keeps it from reading openssl.cnf.
absl::Status InitializeOpenSsl();

// The oldest entry of OpenSSL's error queue, which is emptied. "unknown error" if there is none.
std::string OpenSslError();

// A server's context: TLS 1.2 and 1.3, ECDHE with AEAD only, no renegotiation, no tickets and no session cache, ALPN
// `protocol` or none. `certificate` is a PEM chain, leaf first; `key` the PEM private key. Both descriptors are read to
// their end and closed. InvalidArgument says which of the two is wrong and why.
//
// This is the seam for the keyholder: nothing but UseKey() in context.cc touches the private key.
absl::StatusOr<ContextPtr> MakeContext(base::UniqueFd certificate, base::UniqueFd key, const std::string& protocol);

// One handshake with ourselves in memory, TLS 1.3, so that a worker forked afterwards finds the pages warm and all of
// OpenSSL's lazy setting up done: nothing of it would be possible under the worker's filter, and it costs 0.15 ms each.
absl::Status WarmUp(SSL_CTX* context);

}  // namespace postern::tlsworker

#endif  // POSTERN_TLSWORKER_CONTEXT_H_
