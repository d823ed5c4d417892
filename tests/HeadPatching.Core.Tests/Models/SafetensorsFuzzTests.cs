using HeadPatching.Core.Faults;
using HeadPatching.Core.Models.Safetensors;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Models;

public class SafetensorsFuzzTests
{
    private const int Seed = 20240917;
    private const int Files = 4_000;

    [Fact]
    public void A_damaged_file_is_read_or_refused_and_never_anything_else()
    {
        var random = new Random(Seed);
        var sound = SoundFile();
        var headerBytes = (int)BitConverter.ToUInt64(sound);
        var refused = 0;
        for (var i = 0; i < Files; i++)
        {
            var damaged = Damage(sound, headerBytes, random);
            try
            {
                using var scope = NewDisposeScope();
                using var file = SafetensorsFile.Open(new MemoryStream(damaged), "damaged.safetensors");
                foreach (var name in file.Tensors.Keys)
                {
                    file.Read(name, ScalarType.Float32, CPU);
                }
            }
            catch (InvalidInputException e)
            {
                refused++;
                Assert.All(e.Faults, fault => Assert.DoesNotContain(fault.Message, char.IsControl));
            }
            catch (Exception e)
            {
                Assert.Fail($"File {i} ({Convert.ToBase64String(damaged)}) ended in {e}");
            }
        }

        // Otherwise the damage would not have reached what is checked.
        Assert.InRange(refused, Files / 2, Files);
    }

    private static byte[] SoundFile()
    {
        using var scope = NewDisposeScope();
        using var stream = new MemoryStream();
        SafetensorsWriter.Write(
            stream,
            [
                ("wte.weight", ones(5, 4)), ("h.0.ln_1.bias", ones(4, dtype: ScalarType.Float16)), ("ids", ones(3, dtype: ScalarType.Int64)),
                ("mask", ones(2, 2, dtype: ScalarType.Bool)), ("empty", ones(0, 2)), ("scalar", ones(1, dtype: ScalarType.BFloat16)[0]),
            ],
            new Dictionary<string, string> { ["format"] = "pt" });
        return stream.ToArray();
    }

    private static byte[] Damage(byte[] sound, int headerBytes, Random random)
    {
        var bytes = (byte[])sound.Clone();
        switch (random.Next(5))
        {
            case 0:
                return bytes[..random.Next(bytes.Length)];
            case 1:
                return [.. bytes, .. new byte[random.Next(1, 20)]];
            case 2:
                // A digit, bracket or quote in place of another reaches deeper than noise.
                for (var n = random.Next(1, 4); n > 0; n--)
                {
                    bytes[8 + random.Next(headerBytes)] = (byte)"0123456789-.eE[]{}\",:\\ uFIB"[random.Next(27)];
                }

                return bytes;
            case 3:
                // The digits of shapes and offsets only.
                for (var i = 8; i < 8 + headerBytes; i++)
                {
                    if (char.IsAsciiDigit((char)bytes[i]) && random.Next(10) == 0)
                    {
                        bytes[i] = (byte)('0' + random.Next(10));
                    }
                }

                return bytes;
            default:
                for (var n = random.Next(1, 8); n > 0; n--)
                {
                    bytes[random.Next(8 + headerBytes)] = (byte)random.Next(256);
                }

                return bytes;
        }
    }
}
