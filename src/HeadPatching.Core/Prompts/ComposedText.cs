using System.Globalization;
using System.Text;

namespace HeadPatching.Core.Prompts;

/// <summary>
/// Tells whether a text is in Unicode's normal form C, in which some tokenizers want it. .NET itself composes text only with ICU, a native
/// library that this program does without. So a text that may not be composed is found here and refused; nearly all texts are composed already.
/// </summary>
internal static class ComposedText
{
    /// <summary>
    /// The characters that normal form C replaces, or may join with the one before (NFC_Quick_Check No or Maybe in Unicode's
    /// DerivedNormalizationProps), and spacing marks that it may move. In hexadecimal.
    /// </summary>
    private const string Changing =
        """
        300-304 306-30C 30F 311 313-314 31B 323-328 32D-32E 330-331 338 340-345 374 37E 387 653-655 93C 958-95F 9BE 9D7
        9DC-9DD 9DF A33 A36 A59-A5B A5E B3E B56-B57 B5C-B5D BBE BD7 C56 CC2 CD5-CD6 D3E D57 DCA DCF DDF F43 F4D F52 F57 F5C
        F69 F73 F75-F76 F78 F81 F93 F9D FA2 FA7 FAC FB9 102E 1161-1175 11A8-11C2 1715 1734 1B35 1B44 1BAA 1BF2-1BF3 1F71 1F73
        1F75 1F77 1F79 1F7B 1F7D 1FBB 1FBE 1FC9 1FCB 1FD3 1FDB 1FE3 1FEB 1FEE-1FEF 1FF9 1FFB 1FFD 2000-2001 2126 212A-212B
        2329-232A 2ADC 302E-302F 3099-309A A953 A9C0 F900-FA0D FA10 FA12 FA15-FA1E FA20 FA22 FA25-FA26 FA2A-FA6D FA70-FAD9
        FB1D FB1F FB2A-FB36 FB38-FB3C FB3E FB40-FB41 FB43-FB44 FB46-FB4E 110BA 11127 111C0 11235 1133E 1134D 11357 114B0 114BA
        114BD 115AF 116B6 11930 1193D 16FF0-16FF1 1D15E-1D166 1D16D-1D172 1D1BB-1D1C0 2F800-2FA1D
        """;

    private static readonly (int First, int Last)[] Ranges =
    [
        .. Changing.Split([' ', '\n', '\r'], StringSplitOptions.RemoveEmptyEntries)
            .Select(range => range.Split('-'))
            .Select(ends => (Hex(ends[0]), Hex(ends[^1]))),
    ];

    /// <summary>
    /// The first character that may keep the text from being in normal form C; null where the text surely is. Also the second of two
    /// non-spacing marks: their order may be another in normal form C.
    /// </summary>
    public static Rune? FirstDoubt(string text)
    {
        bool afterMark = false;
        foreach (Rune rune in text.EnumerateRunes())
        {
            bool mark = Rune.GetUnicodeCategory(rune) == UnicodeCategory.NonSpacingMark;
            if ((mark && afterMark) || (rune.Value >= Ranges[0].First && Ranges.Any(range => range.First <= rune.Value && rune.Value <= range.Last)))
            {
                return rune;
            }

            afterMark = mark;
        }

        return null;
    }

    private static int Hex(string digits) => int.Parse(digits, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
}
