// A developer's tool: what a model makes of token ids, for comparisons with other implementations
// (tests/python/test_model_logits.py).
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "core/check.h"
#include "runtime/engine/session.h"
#include "runtime/model/ops.h"
#include "tca/backend.h"

namespace {

using namespace tca;
using namespace tca::runtime;

constexpr const char* kUsage =
    "usage: tca_logits MODEL_DIR auto|bf16|fp32 IDS_FILE MODE\n"
    "IDS_FILE holds token ids separated by white space. MODE, one of\n"
    "  logits FILE   writes the logits of every token as rows of fp32\n"
    "  greedy N      prints {\"ids\": [...]}: the N tokens that follow\n"
    "  nll           prints {\"tokens\", \"nll\", \"seconds\"}: the mean loss of every token but the first\n";

std::vector<std::int32_t> read_ids(const std::string& path) {
  std::ifstream in(path);
  std::vector<std::int32_t> ids;
  for (std::int32_t id = 0; in >> id;) ids.push_back(id);
  check_argument(in.eof(), path, " cannot be read, or holds something else than ids");
  return ids;
}

void write_logits(Session& session, const std::vector<std::int32_t>& ids, const std::string& path) {
  std::ofstream out(path, std::ios::binary);
  ReadOptions options;
  options.all_logits = [&](std::int64_t, std::int64_t, std::span<const float> logits) {
    out.write(reinterpret_cast<const char*>(logits.data()), static_cast<std::streamsize>(logits.size_bytes()));
  };
  session.read(ids, options);
  check_argument(out.flush().good(), path, " cannot be written");
}

void print_greedy(Session& session, const std::vector<std::int32_t>& ids, int count) {
  std::vector<std::int32_t> next;
  std::span<const float> logits = session.read(ids);
  for (int i = 0; i < count; ++i) {
    next.push_back(static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin()));
    logits = session.read(std::span(&next.back(), 1));
  }
  std::cout << nlohmann::json{{"ids", next}} << "\n";
}

void print_nll(Session& session, const std::vector<std::int32_t>& ids) {
  const auto vocab = static_cast<std::size_t>(session.model().config().vocab_size);
  double sum = 0;
  ReadOptions options;
  options.all_logits = [&](std::int64_t first, std::int64_t n, std::span<const float> logits) {
    for (std::int64_t i = 0; i < n && first + i + 1 < std::ssize(ids); ++i) {
      sum -= log_probability(logits.subspan(static_cast<std::size_t>(i) * vocab, vocab),
                             ids[static_cast<std::size_t>(first + i + 1)]);
    }
  };
  session.read(ids, options);
  const auto scored = static_cast<double>(ids.size()) - 1;
  std::cout << nlohmann::json{{"tokens", scored}, {"nll", sum / scored}, {"seconds", session.last_read().seconds}}
            << "\n";
}

int run(const std::vector<std::string>& args) {
  const bool known = args.size() >= 4 && (args[1] == "fp32" || args[1] == "bf16" || args[1] == "auto") &&
                     (args[3] == "nll" || ((args[3] == "logits" || args[3] == "greedy") && args.size() == 5));
  if (!known) {
    std::cerr << kUsage;
    return 2;
  }
  ThreadPool pool;
  const auto backend = create_backend("cpu", pool);
  const std::map<std::string, ComputeType> types = {
      {"auto", ComputeType::kAuto}, {"bf16", ComputeType::kBF16}, {"fp32", ComputeType::kF32}};
  const auto model = Model::load(args[0], pool, {.compute = types.at(args[1])});
  Session session(model, *backend, pool, {.attention = AttentionMode::kFull});
  const std::vector<std::int32_t> ids = read_ids(args[2]);
  if (args[3] == "logits") write_logits(session, ids, args[4]);
  if (args[3] == "greedy") print_greedy(session, ids, std::stoi(args[4]));
  if (args[3] == "nll") print_nll(session, ids);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(std::vector<std::string>(argv + 1, argv + argc));
  } catch (const std::exception& error) {
    std::cerr << "tca_logits: " << error.what() << "\n";
    return 1;
  }
}
