#include "tlsworker/context.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace postern::tlsworker {
namespace {

struct Deleter {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using BioPtr = std::unique_ptr<BIO, Deleter>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Deleter>;

constexpr size_t kPemOctetsMax = 1 << 20;

// ECDHE and AEAD only, which leaves what RFC 9325 §4.2 recommends.
constexpr char kTls12Ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20";
constexpr char kGroups[] = "X25519:P-256:P-384";

absl::StatusOr<std::string> ReadAll(const base::UniqueFd& fd) {
  std::string text;
  char buffer[4096];
  for (ssize_t octets; (octets = read(fd.get(), buffer, sizeof buffer)) != 0;) {
    if (octets < 0) return absl::ErrnoToStatus(errno, "read");
    text.append(buffer, static_cast<size_t>(octets));
    if (text.size() > kPemOctetsMax) return absl::InvalidArgumentError("larger than 1 MiB");
  }
  explicit_bzero(buffer, sizeof buffer);
  return text;
}

// It becomes the context's current certificate: the next chain and key are its own.
absl::Status UseChain(SSL_CTX* context, Chain chain) {
  if (SSL_CTX_use_certificate(context, chain.leaf.get()) != 1)
    return absl::InvalidArgumentError(absl::StrCat("certificate: ", OpenSslError()));
  for (X509Ptr& issuer : chain.issuers) {
    if (SSL_CTX_add0_chain_cert(context, issuer.get()) != 1)
      return absl::InvalidArgumentError(absl::StrCat("certificate: ", OpenSslError()));
    (void)issuer.release();
  }
  return absl::OkStatus();
}

// Never asks on a terminal.
int NoPassphrase(char*, int, int, void*) { return -1; }

absl::Status UseKey(SSL_CTX* context, const base::UniqueFd& fd) {
  ASSIGN_OR_RETURN(std::string pem, ReadAll(fd));
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassphrase, nullptr));
  explicit_bzero(pem.data(), pem.size());
  if (key == nullptr) {
    const bool encrypted = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_BAD_PASSWORD_READ;
    OpenSslError();
    return absl::InvalidArgumentError(
        encrypted ? "key: it is encrypted; decrypt it with: openssl pkey -in KEY -out PLAINKEY (mode 0600)"
                  : "key: no PEM private key in the file");
  }
  // Before the context has it: there it would go to the certificate of its own type, which may be another.
  if (X509_check_private_key(SSL_CTX_get0_certificate(context), key.get()) != 1) {
    OpenSslError();
    return absl::InvalidArgumentError("key: it does not belong to the certificate");
  }
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1)
    return absl::InvalidArgumentError(absl::StrCat("key: ", OpenSslError()));
  return absl::OkStatus();
}

// RFC 7301 §3.2. A client that offers protocols but not ours has been led to the wrong port (ALPACA): alert 120.
int SelectAlpn(SSL*, const unsigned char** out, unsigned char* out_octets, const unsigned char* in, unsigned in_octets,
               void* argument) {
  const auto& wire = *static_cast<const std::string*>(argument);
  const auto* ours = reinterpret_cast<const unsigned char*>(wire.data());
  unsigned char* selected;
  if (SSL_select_next_proto(&selected, out_octets, ours, static_cast<unsigned>(wire.size()), in, in_octets) !=
      OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = selected;
  return SSL_TLSEXT_ERR_OK;
}

void FreeString(void*, void* pointer, CRYPTO_EX_DATA*, int, long, void*) { delete static_cast<std::string*>(pointer); }

// The ALPN list outlives every SSL made from the context.
absl::Status OfferAlpn(SSL_CTX* context, const std::string& protocol) {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, FreeString);
  auto wire = std::make_unique<std::string>(absl::StrCat(std::string(1, static_cast<char>(protocol.size())), protocol));
  SSL_CTX_set_alpn_select_cb(context, SelectAlpn, wire.get());
  if (index < 0 || SSL_CTX_set_ex_data(context, index, wire.release()) != 1) return absl::InternalError(OpenSslError());
  return absl::OkStatus();
}

}  // namespace

absl::Status InitializeOpenSsl() {
  if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr) != 1) return absl::InternalError(OpenSslError());
  return absl::OkStatus();
}

std::string OpenSslError() {
  const unsigned long error = ERR_get_error();
  ERR_clear_error();
  const char* reason = ERR_reason_error_string(error);
  return reason == nullptr ? "unknown error" : reason;
}

absl::StatusOr<ContextPtr> MakeContext(const std::string& protocol) {
  ContextPtr context(SSL_CTX_new(TLS_server_method()));
  if (context == nullptr) return absl::InternalError(OpenSslError());
  SSL_CTX_set_security_level(context.get(), 2);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
                                         SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_mode(context.get(),
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS |
                       SSL_MODE_NO_AUTO_CHAIN);  // the file is the chain: no search for issuers at each handshake
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_read_ahead(context.get(), 1);  // a record's header and body in one read: everything on the socket is TLS
  if (SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) != 1 ||
      SSL_CTX_set_cipher_list(context.get(), kTls12Ciphers) != 1 ||
      SSL_CTX_set1_groups_list(context.get(), kGroups) != 1 || SSL_CTX_set_num_tickets(context.get(), 0) != 1)
    return absl::InternalError(OpenSslError());
  RETURN_IF_ERROR(OfferAlpn(context.get(), protocol));
  return context;
}

absl::StatusOr<Chain> ReadChain(base::UniqueFd certificate) {
  ASSIGN_OR_RETURN(const std::string pem, ReadAll(certificate));
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  Chain chain;
  chain.leaf.reset(PEM_read_bio_X509_AUX(bio.get(), nullptr, nullptr, nullptr));
  if (chain.leaf == nullptr) {
    OpenSslError();
    return absl::InvalidArgumentError("certificate: no PEM certificate in the file");
  }
  while (X509* next = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) chain.issuers.emplace_back(next);
  const unsigned long error = ERR_peek_last_error();
  ERR_clear_error();
  if (error != 0 && ERR_GET_REASON(error) != PEM_R_NO_START_LINE)
    return absl::InvalidArgumentError("certificate: a later certificate of the chain is damaged");
  return chain;
}

absl::Status AddCertificate(SSL_CTX* context, Chain chain, base::UniqueFd key) {
  RETURN_IF_ERROR(UseChain(context, std::move(chain)));
  return UseKey(context, key);
}

namespace {

// The other side of WarmUp(), which knows of a failure by its own.
void BeClient(int socket, const char* signatures, const char* server_name) {
  const ContextPtr context(SSL_CTX_new(TLS_client_method()));
  if (context == nullptr) return;
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  if (signatures != nullptr && SSL_CTX_set1_sigalgs_list(context.get(), signatures) != 1) return;
  const SslPtr ssl(SSL_new(context.get()));
  if (ssl == nullptr || SSL_set_fd(ssl.get(), socket) != 1) return;
  if (server_name != nullptr && SSL_set_tlsext_host_name(ssl.get(), server_name) != 1) return;
  char buffer[16];
  if (SSL_connect(ssl.get()) == 1 && SSL_write(ssl.get(), "warm", 4) == 4) SSL_read(ssl.get(), buffer, sizeof buffer);
}

absl::Status BeServer(SSL_CTX* context, int socket) {
  const SslPtr ssl(SSL_new(context));
  if (ssl == nullptr || SSL_set_fd(ssl.get(), socket) != 1) return absl::InternalError(OpenSslError());
  char buffer[16];
  if (SSL_accept(ssl.get()) != 1 || SSL_read(ssl.get(), buffer, sizeof buffer) != 4 ||
      SSL_write(ssl.get(), buffer, 4) != 4)
    return absl::InvalidArgumentError(
        absl::StrCat("a handshake with this certificate and key fails: ", OpenSslError()));
  ERR_clear_error();
  return absl::OkStatus();
}

}  // namespace

absl::Status WarmUp(SSL_CTX* context, const char* signatures, const char* server_name) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return absl::ErrnoToStatus(errno, "socketpair");
  const base::UniqueFd server(ends[0]);
  base::UniqueFd client(ends[1]);
  // The client in a process of its own: its objects, among those of the server that workers will have again and again
  // in the same places, would spread these over twice the pages.
  const pid_t pid = fork();
  if (pid < 0) return absl::ErrnoToStatus(errno, "fork");
  if (pid == 0) {
    close(server.get());
    BeClient(client.get(), signatures, server_name);
    _exit(0);
  }
  client.Reset();
  const absl::Status status = BeServer(context, server.get());
  shutdown(server.get(), SHUT_RDWR);
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  return status;
}

}  // namespace postern::tlsworker
