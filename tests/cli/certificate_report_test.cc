// The certificate's figures as shares, and the advice that follows from them.
#include <gtest/gtest.h>

#include "cli/report.h"

namespace tca::cli {
namespace {

HeadCertificate head(double p95, double norm, double bound) {
  return {.mean_delta = p95 / 2, .p95_delta = p95, .max_delta = 2 * p95, .output_norm = norm, .bound = bound};
}

runtime::SessionCertificate certificate_of(const std::vector<HeadCertificate>& heads) {
  return {.layers = {heads}, .kept_share = {std::vector<double>(heads.size(), 0.5)}};
}

TEST(CertificateReport, TheBoundIsAShareOfTheOutputsNorm) {
  // The second head's bound is smaller, and a larger part of its outputs.
  const auto certificate = certificate_of({head(0.1, 40, 10), head(0.04, 8, 6)});
  const std::string table = certificate_table(certificate, false, Style(false));
  EXPECT_NE(table.find("75 %"), std::string::npos) << table;
  EXPECT_EQ(table.find("25 %"), std::string::npos) << table;
  EXPECT_NE(table.find("--tolerance 0.05"), std::string::npos) << table;  // half the worst p95
  const std::string by_answers = certificate_table(certificate, true, Style(false));
  EXPECT_NE(by_answers.find("in nats"), std::string::npos) << by_answers;
  const Json json = certificate_json(certificate);
  EXPECT_EQ(json["layers"][0][0]["bound_share"], 0.25);
  EXPECT_EQ(json["layers"][0][1]["bound_share"], 0.75);
  EXPECT_EQ(json["layers"][0][1]["output_norm"], 8);
}

TEST(CertificateReport, NothingDroppedNothingToDo) {
  const std::string table = certificate_table(certificate_of({head(0, 5, 0), head(0, 0, 0)}), false, Style(false));
  EXPECT_NE(table.find("0 %"), std::string::npos) << table;
  EXPECT_EQ(table.find("--tolerance"), std::string::npos) << table;
}

}  // namespace
}  // namespace tca::cli
