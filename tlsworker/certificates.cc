#include "tlsworker/certificates.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace postern::tlsworker {
namespace {

// A name that no certificate is for: RFC 6761 §6.4.
constexpr char kNobodysName[] = "postern.invalid";

std::string Octets(const ASN1_STRING* text) {
  return std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                     static_cast<size_t>(ASN1_STRING_length(text)));
}

// Each behind a letter for its kind.
std::set<std::string> AlternativeNames(const X509* certificate) {
  std::set<std::string> names;
  const std::unique_ptr<GENERAL_NAMES, void (*)(GENERAL_NAMES*)> list(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)),
      GENERAL_NAMES_free);
  ERR_clear_error();  // a damaged list is none
  for (int i = 0; list != nullptr && i < sk_GENERAL_NAME_num(list.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(list.get(), i);
    if (name->type == GEN_DNS) names.insert(absl::StrCat("D", absl::AsciiStrToLower(Octets(name->d.dNSName))));
    if (name->type == GEN_IPADD) names.insert(absl::StrCat("I", Octets(name->d.iPAddress)));
  }
  return names;
}

// Whom a certificate is for: RFC 6125 §6.4.4, the common name counts only where there is no alternative.
std::set<std::string> Names(const X509* certificate) {
  std::set<std::string> names = AlternativeNames(certificate);
  if (!names.empty()) return names;
  const X509_NAME* subject = X509_get_subject_name(certificate);
  for (int i = -1; (i = X509_NAME_get_index_by_NID(subject, NID_commonName, i)) >= 0;) {
    const ASN1_STRING* name = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, i));
    names.insert(absl::StrCat("D", absl::AsciiStrToLower(Octets(name))));
  }
  return names;
}

// What a client says that can verify keys of this type and no others; nullptr: one that there is no use in naming.
const char* SignaturesOf(int key_type) {
  switch (key_type) {
    case EVP_PKEY_RSA:
      return "rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512";
    case EVP_PKEY_RSA_PSS:
      return "rsa_pss_pss_sha256:rsa_pss_pss_sha384:rsa_pss_pss_sha512";
    case EVP_PKEY_EC:
      return "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512";
    case EVP_PKEY_ED25519:
      return "ed25519";
    case EVP_PKEY_ED448:
      return "ed448";
    default:
      return nullptr;
  }
}

}  // namespace

absl::Status Certificates::Add(int number, base::UniqueFd certificate, base::UniqueFd key) {
  ASSIGN_OR_RETURN(Chain chain, ReadChain(std::move(certificate)));
  const EVP_PKEY* public_key = X509_get0_pubkey(chain.leaf.get());
  if (public_key == nullptr)
    return absl::InvalidArgumentError(absl::StrCat("certificate: its public key: ", OpenSslError()));
  const int type = EVP_PKEY_get_base_id(public_key);
  std::set<std::string> names = Names(chain.leaf.get());
  const auto same =
      std::find_if(identities_.begin(), identities_.end(), [&](const Identity& other) { return other.names == names; });
  if (same != identities_.end()) {
    const auto twice = same->numbers.find(type);
    if (twice != same->numbers.end())
      return absl::InvalidArgumentError(absl::StrCat("certificate: for the same names and with the same type of key (",
                                                     EVP_PKEY_get0_type_name(public_key), ") as certificate ",
                                                     twice->second + 1, " of this service"));
    RETURN_IF_ERROR(AddCertificate(same->context.get(), std::move(chain), std::move(key)));
    RETURN_IF_ERROR(WarmUp(same->context.get(), SignaturesOf(type)));
    same->numbers[type] = number;
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(ContextPtr context, MakeContext(protocol_));
  RETURN_IF_ERROR(AddCertificate(context.get(), std::move(chain), std::move(key)));
  RETURN_IF_ERROR(WarmUp(context.get(), SignaturesOf(type)));
  identities_.push_back({std::move(names), {{type, number}}, std::move(context)});
  return absl::OkStatus();
}

absl::Status Certificates::ChooseByName() {
  if (identities_.size() < 2) return absl::OkStatus();  // so that nobody compares what a client asks for
  SSL_CTX_set_tlsext_servername_callback(context(), OnServerName);
  SSL_CTX_set_tlsext_servername_arg(context(), this);
  return WarmUp(context(), nullptr, kNobodysName);  // it is compared with all of them
}

// RFC 6066 §3. Whatever else a session has of its context, it has already; all contexts are alike in that.
int Certificates::OnServerName(SSL* ssl, int*, void* certificates) {
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (name == nullptr || name[0] == '.') return SSL_TLSEXT_ERR_NOACK;  // to X509_check_host, ".example" is a pattern
  for (const Identity& identity : static_cast<Certificates*>(certificates)->identities_) {
    X509* leaf = SSL_CTX_get0_certificate(identity.context.get());
    ERR_set_mark();  // what is left in the queue would be taken for an error of the handshake
    const int matches = X509_check_host(leaf, name, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, nullptr);
    ERR_pop_to_mark();
    if (matches != 1) continue;
    return SSL_set_SSL_CTX(ssl, identity.context.get()) != nullptr ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  return SSL_TLSEXT_ERR_NOACK;
}

}  // namespace postern::tlsworker
