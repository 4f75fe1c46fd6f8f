// tca_tokenize DIR MODE: a filter that lets the Python tests reach the tokenizer.
// Standard input holds items, each a 32-bit length and that many bytes; so does standard output. Modes:
//   encode, encode_special, plain   text -> 32-bit ids
//   decode, decode_special          ids -> text, pushed through StreamDecoder
//   chat                            {"messages", "begins", "generation_prompt", "family"} -> ids
//   turn_end, stop_ids              {"family", "end_token_generated"} -> ids
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "runtime/tokenizer/chat_template.h"
#include "runtime/tokenizer/tokenizer.h"

namespace {

using Ids = std::vector<std::int32_t>;
using tca::runtime::ChatMessage;
using tca::runtime::ChatTemplate;
using tca::runtime::Role;
using tca::runtime::StreamDecoder;
using tca::runtime::Tokenizer;

std::string bytes_of(const Ids& ids) {
  return {reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(std::int32_t)};
}

std::string decode(const Tokenizer& tokenizer, const std::string& item, bool skip_special) {
  Ids ids(item.size() / sizeof(std::int32_t));
  std::memcpy(ids.data(), item.data(), ids.size() * sizeof(std::int32_t));
  StreamDecoder decoder(tokenizer, skip_special);
  std::string text;
  for (const std::int32_t id : ids) text += decoder.push(id);
  return text + decoder.finish();
}

Ids chat(const Tokenizer& tokenizer, const std::string& dir, const std::string& mode, const std::string& item) {
  const auto request = nlohmann::json::parse(item);
  const ChatTemplate form = ChatTemplate::load(dir, request.value("family", ""));
  if (mode == "turn_end") return form.encode_turn_end(tokenizer, request.at("end_token_generated").get<bool>());
  if (mode == "stop_ids") return form.stop_ids(tokenizer);
  std::vector<ChatMessage> messages;
  for (const auto& message : request.at("messages")) {
    const auto role = message.at("role").get<std::string>();
    messages.push_back({role == "system" ? Role::kSystem
                        : role == "user" ? Role::kUser
                                         : Role::kAssistant,
                        message.at("content").get<std::string>()});
  }
  return form.encode(tokenizer, messages, request.value("begins", true), request.value("generation_prompt", true));
}

std::string answer(const Tokenizer& tokenizer, const std::string& dir, const std::string& mode,
                   const std::string& item) {
  if (mode == "encode" || mode == "encode_special") {
    return bytes_of(tokenizer.encode(item, mode == "encode_special"));
  }
  if (mode == "plain") return bytes_of(tokenizer.encode_plain(item));
  if (mode == "decode" || mode == "decode_special") return decode(tokenizer, item, mode == "decode");
  return bytes_of(chat(tokenizer, dir, mode, item));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: tca_tokenize DIR MODE < items > items\n");
    return 2;
  }
  try {
    const std::string dir = argv[1];
    const Tokenizer tokenizer = Tokenizer::load(dir);
    const std::string input{std::istreambuf_iterator<char>(std::cin), {}};
    std::uint32_t length = 0;
    for (std::size_t at = 0; at + sizeof(length) <= input.size(); at += length) {
      std::memcpy(&length, input.data() + at, sizeof(length));
      at += sizeof(length);
      const std::string output = answer(tokenizer, dir, argv[2], input.substr(at, length));
      const auto size = static_cast<std::uint32_t>(output.size());
      std::fwrite(&size, sizeof(size), 1, stdout);
      std::fwrite(output.data(), 1, output.size(), stdout);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "tca_tokenize: %s\n", error.what());
    return 1;
  }
  return 0;
}
