#ifndef POSTERN_TLSWORKER_CONTEXT_H_
#define POSTERN_TLSWORKER_CONTEXT_H_

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace postern::tlsworker {

struct SslDeleter {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(X509* certificate) const { X509_free(certificate); }
};
using ContextPtr = std::unique_ptr<SSL_CTX, SslDeleter>;
using SslPtr = std::unique_ptr<SSL, SslDeleter>;
using X509Ptr = std::unique_ptr<X509, SslDeleter>;

// Call once, before anything else of OpenSSL: keeps it from reading openssl.cnf.
absl::Status InitializeOpenSsl();

// The oldest entry of OpenSSL's error queue, which is emptied. "unknown error" if there is none.
std::string OpenSslError();

// A server's context that has no certificate yet: TLS 1.2 and 1.3, ECDHE with AEAD only, no renegotiation, no tickets
// and no session cache, ALPN `protocol` or none.
absl::StatusOr<ContextPtr> MakeContext(const std::string& protocol);

struct Chain {
  X509Ptr leaf;
  std::vector<X509Ptr> issuers;
};

// A PEM file, leaf first, read to its end. InvalidArgument, here and below, begins with "certificate: " or "key: ".
absl::StatusOr<Chain> ReadChain(base::UniqueFd certificate);

// Adds a certificate and its private key (PEM, read to its end). A context holds one for each type of key, every one
// with a chain of its own, and chooses by what the client can verify; a second of the same type would replace the
// first.
//
// This is the seam for the keyholder: nothing but UseKey() in context.cc touches the private key.
absl::Status AddCertificate(SSL_CTX* context, Chain chain, base::UniqueFd key);

// One handshake with ourselves in memory, TLS 1.3, so that a worker forked afterwards finds the pages warm and all of
// OpenSSL's lazy setting up done: nothing of it would be possible under the worker's filter, and it costs 0.15 ms each.
// The client asks for `server_name` and verifies `signatures` alone (as SSL_CTX_set1_sigalgs_list has it); nullptr: for
// none, and what OpenSSL does by itself.
absl::Status WarmUp(SSL_CTX* context, const char* signatures = nullptr, const char* server_name = nullptr);

}  // namespace postern::tlsworker

#endif  // POSTERN_TLSWORKER_CONTEXT_H_
