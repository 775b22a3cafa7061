#include "tlsworker/context.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "tlsworker/certificates.h"
#include "tlsworker/session.h"
#include "tlsworker/test_credentials.h"

namespace postern::tlsworker {
namespace {

// What it says of one more.
std::string Add(Certificates& certificates, int number, const std::string& certificate, const std::string& key) {
  return std::string(certificates.Add(number, FileWith(certificate), FileWith(key)).message());
}

TEST(ContextTest, SaysWhatIsWrongWithTheFiles) {
  const Credentials mine, other, rsa("RSA");
  const std::string damaged = mine.certificate + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  const struct {
    std::string certificate, key, error;
  } kRows[] = {
      {mine.certificate, mine.key, ""},
      {mine.certificate + other.certificate, mine.key, ""},  // a chain
      {mine.key + mine.certificate, mine.key, ""},           // both in one file, as stunnel wants it
      {"", mine.key, "certificate: no PEM certificate in the file"},
      {"garbage", mine.key, "certificate: no PEM certificate in the file"},
      {mine.key, mine.key, "certificate: no PEM certificate in the file"},
      {damaged, mine.key, "certificate: a later certificate of the chain is damaged"},
      {mine.certificate, "", "key: no PEM private key in the file"},
      {mine.certificate, mine.certificate, "key: no PEM private key in the file"},
      {mine.certificate, other.key, "key: it does not belong to the certificate"},
      {mine.certificate, rsa.key, "key: it does not belong to the certificate"},
      {mine.certificate, mine.encrypted_key,
       "key: it is encrypted; decrypt it with: openssl pkey -in KEY -out PLAINKEY (mode 0600)"},
  };
  for (const auto& row : kRows) {
    Certificates certificates("pop3");
    EXPECT_EQ(Add(certificates, 0, row.certificate, row.key), row.error);
    EXPECT_EQ(certificates.context() != nullptr, row.error.empty());
  }
}

TEST(CertificatesTest, HoldOneOfEachTypeForTheSameNames) {
  const Credentials ec("P-256", "a"), ec2("P-384", "A"), rsa("RSA", "x", "DNS:a"), edwards("ED25519", "y", "DNS:A");
  const Credentials other("P-256", "a", "DNS:a,IP:127.0.0.1"), more("P-256", "a", "IP:127.0.0.1,DNS:a");
  Certificates certificates("pop3");
  EXPECT_EQ(Add(certificates, 0, ec.certificate, ec.key), "");
  SSL_CTX* const first = certificates.context();
  // The key is of the type of a certificate that is there, which it belongs to.
  EXPECT_EQ(Add(certificates, 1, rsa.certificate, ec.key), "key: it does not belong to the certificate");
  EXPECT_EQ(Add(certificates, 2, rsa.certificate, rsa.key), "");
  EXPECT_EQ(Add(certificates, 3, ec2.certificate, ec2.key),
            "certificate: for the same names and with the same type of key (EC) as certificate 1 of this service");
  EXPECT_EQ(Add(certificates, 4, rsa.certificate, rsa.key),
            "certificate: for the same names and with the same type of key (RSA) as certificate 3 of this service");
  EXPECT_EQ(Add(certificates, 5, edwards.certificate, edwards.key), "");
  EXPECT_EQ(Add(certificates, 6, other.certificate, other.key), "");
  EXPECT_EQ(Add(certificates, 7, more.certificate, more.key),
            "certificate: for the same names and with the same type of key (EC) as certificate 7 of this service");
  EXPECT_EQ(certificates.context(), first);
  EXPECT_TRUE(certificates.ChooseByName().ok());
}

constexpr char kRsa[] = "rsa_pss_rsae_sha256", kEc[] = "ECDSA+SHA256";

// What the client sees: "COMMON-NAME TYPE ISSUERS ALPN", or "no handshake".
std::string Seen(SSL_CTX* server_context, int version, const char* signatures, const char* name,
                 ipc::TlsFacts* facts = nullptr) {
  const ContextPtr client_context(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_min_proto_version(client_context.get(), version);
  SSL_CTX_set_max_proto_version(client_context.get(), version);
  EXPECT_EQ(SSL_CTX_set1_sigalgs_list(client_context.get(), signatures), 1);
  // Not its share of the first flight: a HelloRetryRequest, and the name is looked at twice.
  EXPECT_EQ(SSL_CTX_set1_groups_list(client_context.get(), "P-521:P-384:P-256"), 1);
  const unsigned char kAlpn[] = {4, 'p', 'o', 'p', '3'};
  EXPECT_EQ(SSL_CTX_set_alpn_protos(client_context.get(), kAlpn, sizeof kAlpn), 0);
  const SslPtr server(SSL_new(server_context)), client(SSL_new(client_context.get()));
  EXPECT_TRUE(name == nullptr || SSL_set_tlsext_host_name(client.get(), name) == 1);
  BIO *server_end, *client_end;
  EXPECT_EQ(BIO_new_bio_pair(&server_end, 0, &client_end, 0), 1);
  SSL_set_bio(server.get(), server_end, server_end);
  SSL_set_bio(client.get(), client_end, client_end);
  SSL_set_accept_state(server.get());
  SSL_set_connect_state(client.get());
  int client_done = 0, server_done = 0;
  for (int flights = 0; flights < 10 && (client_done != 1 || server_done != 1); ++flights) {
    client_done = SSL_do_handshake(client.get());
    server_done = SSL_do_handshake(server.get());
  }
  OpenSslError();
  if (client_done != 1 || server_done != 1) return "no handshake";
  if (facts != nullptr) *facts = Facts(server.get());
  char common_name[64] = "";
  const X509* leaf = SSL_get0_peer_certificate(client.get());
  X509_NAME_get_text_by_NID(X509_get_subject_name(leaf), NID_commonName, common_name, sizeof common_name);
  const unsigned char* alpn;
  unsigned octets;
  SSL_get0_alpn_selected(client.get(), &alpn, &octets);
  return absl::StrCat(common_name, " ", EVP_PKEY_get0_type_name(X509_get0_pubkey(leaf)), " ",
                      sk_X509_num(SSL_get_peer_cert_chain(client.get())) - 1, " ",
                      absl::string_view(reinterpret_cast<const char*>(alpn), octets));
}

TEST(CertificatesTest, AreChosenByNameAndByWhatTheClientVerifies) {
  const Credentials first("P-256", "first", "DNS:mail.example,DNS:pop.example"),
      first_rsa("RSA", "first", "DNS:pop.example,DNS:MAIL.example"), second("P-256", "second", "DNS:mail.test"),
      wild("P-256", "wild", "DNS:*.mail.test,DNS:*.a.example"), common("RSA", "common.name"), issuer, issuer2;
  Certificates certificates("pop3");
  ASSERT_EQ(Add(certificates, 0, first.certificate + issuer.certificate, first.key), "");
  ASSERT_EQ(Add(certificates, 1, second.certificate, second.key), "");
  ASSERT_EQ(Add(certificates, 2, first_rsa.certificate + issuer.certificate + issuer2.certificate, first_rsa.key), "");
  ASSERT_EQ(Add(certificates, 3, wild.certificate, wild.key), "");
  ASSERT_EQ(Add(certificates, 4, common.certificate, common.key), "");
  ASSERT_TRUE(certificates.ChooseByName().ok());
  const std::string longest = std::string(63, 'a') + "." + std::string(187, 'b');
  const struct {
    const char *signatures, *name;
    std::string seen;
  } kRows[] = {
      {kEc, nullptr, "first EC 1 pop3"},
      {kRsa, nullptr, "first RSA 2 pop3"},
      {kEc, "mail.example", "first EC 1 pop3"},
      {kRsa, "pop.example", "first RSA 2 pop3"},
      {kEc, "mail.test", "second EC 0 pop3"},
      {kEc, "MAIL.Test", "second EC 0 pop3"},
      {kRsa, "mail.test", "no handshake"},  // there is none, and another name's would not be believed
      {kEc, "imap.mail.test", "wild EC 0 pop3"},
      {kEc, "SMTP.a.example", "wild EC 0 pop3"},
      {kRsa, "common.name", "common.name RSA 0 pop3"},
      {kEc, "b.a.mail.test", "first EC 1 pop3"},
      {kEc, ".mail.test", "first EC 1 pop3"},
      {kEc, "a.example", "first EC 1 pop3"},
      {kEc, "127.0.0.1", "first EC 1 pop3"},
      {kEc, "../../x", "first EC 1 pop3"},
      {kRsa, "a b=c\nd", "first RSA 2 pop3"},
      {kEc, longest.c_str(), "first EC 1 pop3"},
  };
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION})
    for (const auto& row : kRows)
      EXPECT_EQ(Seen(certificates.context(), version, row.signatures, row.name), row.seen)
          << (row.name == nullptr ? "no name" : row.name) << " " << version;
}

TEST(CertificatesTest, OneAloneIsForEveryName) {
  const Credentials mine;
  Certificates certificates("pop3");
  ASSERT_EQ(Add(certificates, 0, mine.certificate, mine.key), "");
  ASSERT_TRUE(certificates.ChooseByName().ok());
  for (const char* name : {"localhost", "elsewhere", ".", "=", static_cast<const char*>(nullptr)})
    EXPECT_EQ(Seen(certificates.context(), TLS1_3_VERSION, kEc, name), "localhost EC 0 pop3");
}

TEST(FactsTest, KeepOutANameThatIsNone) {
  const Credentials mine;
  Certificates certificates("pop3");
  ASSERT_EQ(Add(certificates, 0, mine.certificate, mine.key), "");
  const std::string longest(253, 'a');
  const std::pair<std::string, std::string> kRows[] = {
      {"mail.Example-1_x", "mail.Example-1_x"},
      {longest, longest},
      {longest + "a", ""},
      {longest + "aa", ""},
      {"../../x", ""},
      {"a b", ""},
      {"a=b", ""},
      {"a\n", ""},
      {"\xc3\xbc", ""},
  };
  for (const auto& [name, sni] : kRows) {
    ipc::TlsFacts facts;
    Seen(certificates.context(), TLS1_3_VERSION, kEc, name.c_str(), &facts);
    EXPECT_EQ(facts.version.view(), "TLSv1.3") << name;
    EXPECT_EQ(facts.sni.view(), sni);
  }
}

}  // namespace
}  // namespace postern::tlsworker
