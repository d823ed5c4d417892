using System.Runtime.InteropServices;
using HeadPatching.Core.Faults;
using TorchSharp;

namespace HeadPatching.Core.Native;

/// <summary>
/// Finds libtorch for a program that was built without one (<c>-p:TorchRuntime=none</c>): in the folder that an environment variable
/// names, such as <c>torch/lib</c> of a PyTorch installation. TorchSharp asks for the libraries by name; the loader answers with those
/// that the process holds already, so they are loaded from there before it asks.
/// </summary>
public static class LibTorch
{
    /// <summary>The environment variable.</summary>
    public const string FolderVariable = "HEADPATCHING_LIBTORCH";

    // In the order in which they need each other; the CUDA ones are there or not.
    private static readonly (string Name, bool Required)[] Libraries =
        [("torch_global_deps", false), ("c10", true), ("torch_cpu", true), ("c10_cuda", false), ("torch_cuda", false), ("torch", true)];

    /// <summary>Loads libtorch, where it does not travel with the program. To be called before the first use of TorchSharp.</summary>
    /// <exception cref="InvalidInputException">
    /// There is no libtorch, or the folder lacks it, or holds one that TorchSharp cannot be used with; or the program carries its own.
    /// </exception>
    public static void Load()
    {
        FreedMemory.Keep();
        string? folder = Environment.GetEnvironmentVariable(FolderVariable);
        bool carried = Find("torch_cpu") is not null;
        if (!string.IsNullOrEmpty(folder))
        {
            LoadFrom(folder, carried);
        }
        else if (!carried && !NativeLibrary.TryLoad("torch_cpu", typeof(torch).Assembly, null, out _))
        {
            throw new InvalidInputException(
                FaultKinds.NotFound,
                FolderVariable,
                "This program was built without libtorch. Set the variable to a folder with libtorch 2.10, such as torch/lib of a PyTorch 2.10 installation.");
        }
    }

    private static void LoadFrom(string folder, bool carried)
    {
        if (carried)
        {
            throw new InvalidInputException(
                FaultKinds.InvalidOption,
                FolderVariable,
                "This program carries its own libtorch, and a process can hold only one. Unset the variable, or build with -p:TorchRuntime=none.");
        }

        string[] missing = [.. Libraries.Where(library => library.Required).Select(library => FileName(library.Name)).Where(Lacks)];
        if (missing.Length > 0)
        {
            throw new InvalidInputException(
                FaultKinds.NotFound,
                FolderVariable,
                $"The folder {folder} lacks {string.Join(", ", missing)}. Name the one that holds libtorch 2.10, such as torch/lib of a PyTorch 2.10 installation.");
        }

        foreach (string file in Libraries.Select(library => FileName(library.Name)).Where(file => !Lacks(file)))
        {
            LoadFile(Path.GetFullPath(file, Path.GetFullPath(folder)));
        }

        // Loaded here and not by TorchSharp, so that a libtorch of another version is told as what it is.
        if (Find("LibTorchSharp") is string binding)
        {
            LoadFile(binding);
        }

        bool Lacks(string file) => !File.Exists(Path.Combine(folder, file));

        void LoadFile(string path)
        {
            try
            {
                NativeLibrary.Load(path);
            }
            catch (Exception e) when (e is DllNotFoundException or BadImageFormatException)
            {
                throw new InvalidInputException(
                    FaultKinds.Malformed,
                    FolderVariable,
                    $"{Path.GetFileName(path)} does not load with the libraries in {folder}; libtorch 2.10 is needed. The loader says: {LastLine(e.Message)}");
            }
        }
    }

    /// <summary>A native library among the program's own files; null where it has none of the name.</summary>
    private static string? Find(string name) =>
        (AppContext.GetData("NATIVE_DLL_SEARCH_DIRECTORIES") as string ?? AppContext.BaseDirectory)
            .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
            .Select(folder => Path.Combine(folder, FileName(name)))
            .FirstOrDefault(File.Exists);

    private static string FileName(string name) =>
        OperatingSystem.IsWindows() ? $"{name}.dll" : OperatingSystem.IsMacOS() ? $"lib{name}.dylib" : $"lib{name}.so";

    private static string LastLine(string text) => text.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)[^1];
}
