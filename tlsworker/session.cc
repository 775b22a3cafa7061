#include "tlsworker/session.h"

#include <openssl/err.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "role/role.h"

namespace postern::tlsworker {
namespace {

constexpr absl::Duration kLinger = absl::Seconds(2);
constexpr intptr_t kReadsPerCall = 4;  // of up to a record of the largest size each; see AllowReads()

// The BIO's data: the socket, and in the bit above its number whether more follows.
constexpr intptr_t kMore = 1 << 16;
intptr_t BioData(BIO* bio) { return reinterpret_cast<intptr_t>(BIO_get_data(bio)); }
int BioFd(BIO* bio) { return static_cast<int>(BioData(bio) & (kMore - 1)); }

int BioWrite(BIO* bio, const char* data, size_t octets, size_t* written) {
  BIO_clear_retry_flags(bio);
  const int more = (BioData(bio) & kMore) != 0 ? MSG_MORE : 0;
  const ssize_t sent = send(BioFd(bio), data, octets, MSG_DONTWAIT | MSG_NOSIGNAL | more);
  if (sent < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
  *written = sent < 0 ? 0 : static_cast<size_t>(sent);
  return sent > 0;
}

int BioRead(BIO* bio, char* data, size_t octets, size_t* taken) {
  BIO_clear_retry_flags(bio);
  const auto reads_left = reinterpret_cast<intptr_t>(BIO_get_app_data(bio));
  if (reads_left == 0) {
    BIO_set_retry_read(bio);  // as if there were nothing; poll(2) knows better
    *taken = 0;
    return 0;
  }
  BIO_set_app_data(bio, reinterpret_cast<void*>(reads_left - 1));
  const ssize_t received = recv(BioFd(bio), data, octets, MSG_DONTWAIT);
  if (received < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
  if (received == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  *taken = received < 0 ? 0 : static_cast<size_t>(received);
  return received > 0;
}

long BioControl(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_FLUSH) return 1;  // BioWrite keeps nothing
  if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
  return 0;
}

int BioCreate(BIO* bio) {
  BIO_set_init(bio, 1);
  return 1;
}

BIO_METHOD* SocketMethod() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket, never blocking");
    BIO_meth_set_write_ex(made, BioWrite);
    BIO_meth_set_read_ex(made, BioRead);
    BIO_meth_set_ctrl(made, BioControl);
    BIO_meth_set_create(made, BioCreate);
    return made;
  }();
  return method;
}

constexpr size_t kServerNameOctetsMax = 253;  // of a host name in text: RFC 1035 §2.3.4, without lengths and root

// RFC 6066 §3 wants a host name, and OpenSSL takes any 255 octets but NUL. What is none stays out of logs, out of the
// backend's environment, and out of whatever file names a backend may make of it.
bool IsServerName(absl::string_view name) {
  return name.size() <= kServerNameOctetsMax && std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return absl::ascii_isalnum(c) || c == '.' || c == '-' || c == '_';
         });
}

}  // namespace

absl::StatusOr<SslPtr> NewSession(SSL_CTX* context, int socket) {
  SslPtr ssl(SSL_new(context));
  BIO* bio = BIO_new(SocketMethod());
  if (ssl == nullptr || bio == nullptr) return absl::InternalError(OpenSslError());
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<intptr_t>(socket)));
  SSL_set_bio(ssl.get(), bio, bio);
  SSL_set_accept_state(ssl.get());
  return ssl;
}

void AllowReads(SSL* ssl) { BIO_set_app_data(SSL_get_rbio(ssl), reinterpret_cast<void*>(kReadsPerCall)); }

absl::Status Handshake(SSL* ssl, int socket, int control, const base::Deadline& deadline) {
  while (true) {
    ERR_clear_error();
    AllowReads(ssl);
    const int result = SSL_do_handshake(ssl);
    if (result == 1) return absl::OkStatus();
    switch (SSL_get_error(ssl, result)) {
      case SSL_ERROR_WANT_READ:
        RETURN_IF_ERROR(role::Wait(socket, POLLIN, control, deadline));
        break;
      case SSL_ERROR_WANT_WRITE:
        RETURN_IF_ERROR(role::Wait(socket, POLLOUT, control, deadline));
        break;
      case SSL_ERROR_SYSCALL:
        return absl::InvalidArgumentError("the client has gone");
      default:
        return absl::InvalidArgumentError(OpenSslError());
    }
  }
}

ipc::TlsFacts Facts(const SSL* ssl) {
  ipc::TlsFacts facts;
  facts.version = decltype(facts.version)::From(SSL_get_version(ssl));
  facts.cipher = decltype(facts.cipher)::From(SSL_get_cipher_name(ssl));
  const char* sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (sni != nullptr && IsServerName(sni)) facts.sni = decltype(facts.sni)::From(sni);
  return facts;
}

void SetMore(SSL* ssl, bool more) {
  BIO* bio = SSL_get_wbio(ssl);
  BIO_set_data(bio, reinterpret_cast<void*>(BioFd(bio) | (more ? kMore : 0)));
}

void Linger(int socket, int control) {
  shutdown(socket, SHUT_WR);
  const base::Deadline deadline = base::Deadline::In(kLinger);
  char dropped[4096];
  while (role::Wait(socket, POLLIN, control, deadline).ok() &&
         recv(socket, dropped, sizeof dropped, MSG_DONTWAIT) > 0) {
  }
}

void SayAndClose(SSL* ssl, int socket, int control, absl::string_view text) {
  ERR_clear_error();
  // Into a send buffer that is empty: what does not go at once will not go.
  if (!text.empty()) SSL_write(ssl, text.data(), static_cast<int>(text.size()));
  ERR_clear_error();
  SSL_shutdown(ssl);
  Linger(socket, control);
}

}  // namespace postern::tlsworker
