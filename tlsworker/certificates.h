#ifndef POSTERN_TLSWORKER_CERTIFICATES_H_
#define POSTERN_TLSWORKER_CERTIFICATES_H_

#include <openssl/ssl.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/unique_fd.h"
#include "tlsworker/context.h"

namespace postern::tlsworker {

// The certificates of one service, and which of them a client gets: of those that are for the name it asks for (SNI,
// RFC 6066 §3; wildcards count), or else of the first added, the one whose type of key it can verify. A name that
// nobody knows is no reason for an alert: there are clients that ask for anything.
class Certificates {
 public:
  // `protocol`: as MakeContext().
  explicit Certificates(std::string protocol) : protocol_(std::move(protocol)) {}
  Certificates(const Certificates&) = delete;
  Certificates& operator=(const Certificates&) = delete;

  // One more, and a handshake with it; both files are read to their end and closed. `number` is what a message calls
  // it, counted from 0. InvalidArgument begins with "certificate: " or "key: " where that is to blame, and leaves the
  // others as they are.
  absl::Status Add(int number, base::UniqueFd certificate, base::UniqueFd key);

  // After the last of them.
  absl::Status ChooseByName();

  // What every session begins with; nullptr if there is no certificate.
  SSL_CTX* context() const { return identities_.empty() ? nullptr : identities_[0].context.get(); }

 private:
  // Certificates for the same names in one context, which tells them apart by the type of key.
  struct Identity {
    std::set<std::string> names;
    std::map<int, int> numbers;  // by the type of key
    ContextPtr context;
  };

  static int OnServerName(SSL* ssl, int* alert, void* certificates);

  const std::string protocol_;
  std::vector<Identity> identities_;
};

}  // namespace postern::tlsworker

#endif  // POSTERN_TLSWORKER_CERTIFICATES_H_
