using System;
using System.IO;
using System.Text;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;

/// <summary>
/// Copies a 64-bit little-endian ELF library and marks its need for one symbol version as weak. Compiled and run by the build
/// (LibTorchSharp.targets, which says why); not part of HeadPatching.Core.dll.
/// </summary>
public class MarkSymbolVersionWeak : Task
{
    private const uint SectionTypeVersionNeed = 0x6ffffffe; // SHT_GNU_verneed
    private const ushort Weak = 0x2;                        // VER_FLG_WEAK

    public string Source { get; set; }

    public string Destination { get; set; }

    public string SymbolVersion { get; set; }

    public override bool Execute()
    {
        byte[] library = File.ReadAllBytes(Source);
        if (library.Length < 64 || library[0] != 0x7f || library[1] != 'E' || library[2] != 'L' || library[3] != 'F' || library[4] != 2)
        {
            Log.LogError("{0} is not a 64-bit ELF library.", Source);
            return false;
        }

        int marked = Mark(library);
        if (marked == 0)
        {
            // A later TorchSharp may no longer need the version: then there is nothing to do, and the copy is the original.
            Log.LogMessage(MessageImportance.Normal, "{0} has no need for {1}.", Source, SymbolVersion);
        }

        if (File.Exists(Destination) && SameBytes(File.ReadAllBytes(Destination), library))
        {
            return true;
        }

        Directory.CreateDirectory(Path.GetDirectoryName(Destination));
        string temporary = Destination + "." + Guid.NewGuid().ToString("N");
        File.WriteAllBytes(temporary, library);
        File.SetLastWriteTimeUtc(temporary, File.GetLastWriteTimeUtc(Source));
        if (File.Exists(Destination))
        {
            File.Delete(Destination);
        }

        File.Move(temporary, Destination);
        return true;
    }

    private int Mark(byte[] elf)
    {
        int marked = 0;
        long sections = BitConverter.ToInt64(elf, 0x28);        // e_shoff
        int sectionSize = BitConverter.ToUInt16(elf, 0x3a);     // e_shentsize
        int sectionCount = BitConverter.ToUInt16(elf, 0x3c);    // e_shnum
        for (int s = 0; s < sectionCount; s++)
        {
            int header = checked((int)(sections + (long)s * sectionSize));
            if (BitConverter.ToUInt32(elf, header + 4) != SectionTypeVersionNeed)
            {
                continue;
            }

            int need = checked((int)BitConverter.ToInt64(elf, header + 24));               // sh_offset: the first Elf64_Verneed
            int stringHeader = checked((int)(sections + BitConverter.ToUInt32(elf, header + 40) * sectionSize)); // sh_link
            int strings = checked((int)BitConverter.ToInt64(elf, stringHeader + 24));
            uint files = BitConverter.ToUInt32(elf, header + 44);                          // sh_info: how many of them
            for (uint f = 0; f < files; f++)
            {
                int versions = BitConverter.ToUInt16(elf, need + 2);                       // vn_cnt
                int version = need + checked((int)BitConverter.ToUInt32(elf, need + 8));   // vn_aux: the first Elf64_Vernaux
                for (int v = 0; v < versions; v++)
                {
                    if (Text(elf, strings + checked((int)BitConverter.ToUInt32(elf, version + 8))) == SymbolVersion)
                    {
                        elf[version + 4] |= (byte)Weak;                                    // vna_flags
                        marked++;
                    }

                    version += checked((int)BitConverter.ToUInt32(elf, version + 12));     // vna_next
                }

                need += checked((int)BitConverter.ToUInt32(elf, need + 12));               // vn_next
            }
        }

        return marked;
    }

    private static string Text(byte[] bytes, int start)
    {
        int end = Array.IndexOf(bytes, (byte)0, start);
        return Encoding.ASCII.GetString(bytes, start, end - start);
    }

    private static bool SameBytes(byte[] left, byte[] right)
    {
        if (left.Length != right.Length)
        {
            return false;
        }

        for (int i = 0; i < left.Length; i++)
        {
            if (left[i] != right[i])
            {
                return false;
            }
        }

        return true;
    }
}
