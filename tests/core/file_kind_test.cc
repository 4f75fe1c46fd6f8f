#include "core/file_kind.h"

#include <gtest/gtest.h>

#include <string>

namespace tca {
namespace {

TEST(FileKind, KnowsWhatFilesAreMistakenFor) {
  const auto says = [](const std::string& content, const char* part) {
    EXPECT_NE(describe_foreign_content(content).find(part), std::string::npos) << content << ": no '" << part << "'";
  };
  says("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull");
  for (const char* page : {"<!doctype html>", "<!DOCTYPE HTML PUBLIC", "\xef\xbb\xbf \r\n<html lang=\"en\">", "<HEAD>",
                           "<?xml version=\"1.0\"?><Error>"}) {
    says(page, "HTML");
  }
  says(std::string("GGUF\x03\0\0\0", 8), "GGUF");
  says("PK\x03\x04...", "PyTorch");
  says("\x80\x02}q", "pickle");
  says(std::string("\xff\xfe{\0", 4), "UTF-16");
  says(std::string(4096, '\0'), "zeros");
  says("", "empty");
}

TEST(FileKind, LetsOthersBe) {
  for (const char* content : {"{}", "[]", "<s>", "<ht", "version 1", "GGU", "P", " ", "tca-kvc\n"}) {
    EXPECT_EQ(describe_foreign_content(content), "") << content;
  }
  EXPECT_EQ(describe_foreign_content(std::string("\x02\0\0\0\0\0\0\0{}", 10)), "");  // safetensors
}

}  // namespace
}  // namespace tca
