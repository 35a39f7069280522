// What the C++ clients share: LiteRT's C interface, as version $litert has it, and a command line of one prompt.

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

[[noreturn]] void Fail(const std::string& message) { throw std::runtime_error(message); }

std::ifstream Opened(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) Fail(path.string() + " is missing; usage/ belongs inside the bundle, and what is built of it into usage/");
  return file;
}

}  // namespace

// LiteRT's C interface: what is called here of litert/c/*.h, of version $litert. A status other than 0 is an error.

extern "C" {
int LiteRtCreateEnvironment(int count, const void* options, void** environment);
int LiteRtCreateModelFromFile(void* environment, const char* path, void** model);
int LiteRtCreateOptions(void** options);
int LiteRtSetOptionsHardwareAccelerators(void* options, int accelerators);
int LiteRtCreateCompiledModel(void* environment, void* model, void* options, void** compiled);
int LiteRtGetModelSignature(void* model, size_t index, void** signature);
int LiteRtGetNumSignatureInputs(void* signature, size_t* count);
int LiteRtGetNumSignatureOutputs(void* signature, size_t* count);
int LiteRtGetSignatureInputName(void* signature, size_t index, const char** name);
int LiteRtGetSignatureOutputName(void* signature, size_t index, const char** name);
int LiteRtGetSignatureInputTensorByIndex(void* signature, size_t index, void** tensor);
int LiteRtGetSignatureOutputTensorByIndex(void* signature, size_t index, void** tensor);
int LiteRtGetRankedTensorType(void* tensor, void* type);
int LiteRtGetCompiledModelInputBufferRequirements(void* compiled, size_t signature, size_t index, void** requirements);
int LiteRtGetCompiledModelOutputBufferRequirements(void* compiled, size_t signature, size_t index, void** requirements);
int LiteRtCreateManagedTensorBufferFromRequirements(void* environment, const void* type, void* needs, void** buffer);
int LiteRtLockTensorBuffer(void* buffer, void** memory, int mode);
int LiteRtUnlockTensorBuffer(void* buffer);
int LiteRtRunCompiledModel(void* compiled, size_t signature, size_t num_inputs, void** inputs, size_t num_outputs,
                           void** outputs);
}

namespace {

constexpr int kCpu = 1, kReadWrite = 2;

void Check(int status, const char* what) {
  if (status != 0) Fail(std::string(what) + ": LiteRT's status is " + std::to_string(status));
}

// What a function returns through its last argument.
template <typename... Parameters, typename... Arguments>
void* New(const char* what, int (*function)(Parameters...), Arguments... arguments) {
  void* made = nullptr;
  Check(function(arguments..., &made), what);
  return made;
}

// A model of one signature. Nothing is freed: the process ends with it.
class Model {
 public:
  explicit Model(const std::string& path)
      : environment_(New("environment", LiteRtCreateEnvironment, 0, nullptr)),
        model_(New(path.c_str(), LiteRtCreateModelFromFile, environment_, path.c_str())) {
    void* options = New("options", LiteRtCreateOptions);
    Check(LiteRtSetOptionsHardwareAccelerators(options, kCpu), "options");
    compiled_ = New(path.c_str(), LiteRtCreateCompiledModel, environment_, model_, options);
    void* signature = New("signature", LiteRtGetModelSignature, model_, 0);
    inputs_ = Buffers(signature, "input ", LiteRtGetNumSignatureInputs, LiteRtGetSignatureInputName,
                      LiteRtGetSignatureInputTensorByIndex, LiteRtGetCompiledModelInputBufferRequirements);
    outputs_ = Buffers(signature, "output ", LiteRtGetNumSignatureOutputs, LiteRtGetSignatureOutputName,
                       LiteRtGetSignatureOutputTensorByIndex, LiteRtGetCompiledModelOutputBufferRequirements);
  }

  // Where an input lies, to be written, or an output, to be read.
  template <typename Value>
  Value* Memory(const std::string& name) const {
    void* memory = nullptr;
    Check(LiteRtLockTensorBuffer(buffers_.at(name), &memory, kReadWrite), name.c_str());
    return static_cast<Value*>(memory);
  }

  void Run() {
    for (void* buffer : inputs_) Check(LiteRtUnlockTensorBuffer(buffer), "inputs");
    Check(LiteRtRunCompiledModel(compiled_, 0, inputs_.size(), inputs_.data(), outputs_.size(), outputs_.data()), "run");
  }

 private:
  // A buffer for each input or output, in order, and by its name.
  template <typename Count, typename Name, typename Tensor, typename Needs>
  std::vector<void*> Buffers(void* signature, const std::string& kind, Count count_of, Name name_of, Tensor tensor_of,
                             Needs needs_of) {
    size_t count = 0;
    Check(count_of(signature, &count), "signature");
    std::vector<void*> buffers;
    for (size_t i = 0; i < count; ++i) {
      const char* name = nullptr;
      Check(name_of(signature, i, &name), "signature");
      alignas(8) char type[256];  // LiteRtRankedTensorType, which is only handed on
      Check(LiteRtGetRankedTensorType(New(name, tensor_of, signature, i), type), name);
      void* needs = New(name, needs_of, compiled_, 0, i);
      buffers.push_back(New(name, LiteRtCreateManagedTensorBufferFromRequirements, environment_, type, needs));
      buffers_[kind + name] = buffers.back();
    }
    return buffers;
  }

  void *environment_, *model_, *compiled_;
  std::vector<void*> inputs_, outputs_;
  std::map<std::string, void*> buffers_;
};

// Prints what a function returns for the bundle's folder and the prompt; a mistake is one line and exit status 2.
int Main(int count, char** arguments, std::string (*complete)(const std::filesystem::path&, const std::string&)) {
  try {
    const auto program = std::filesystem::weakly_canonical(arguments[0]);
    if (count != 2) Fail("one prompt is wanted, in quotes: " + program.filename().string() + " \"Returns the\"");
    std::puts(complete(program.parent_path().parent_path(), arguments[1]).c_str());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 2;
  }
  return 0;
}

}  // namespace
