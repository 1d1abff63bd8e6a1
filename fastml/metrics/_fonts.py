"""Fonts of matplotlib for names of any script."""


def drawable(names):
    """The texts as they can be drawn, and the font families that draw them: the usual one, and of those that are
    installed the first that has what it lacks. Characters that none has (emoji, often) become their numbers."""
    from matplotlib import font_manager

    missing = {c for name in names for c in name if c.isprintable()}
    fonts = []
    usual = font_manager.FontProperties().get_family()
    others = sorted({(entry.name, entry.fname) for entry in font_manager.fontManager.ttflist})
    for family, path in [(f, font_manager.findfont(font_manager.FontProperties(family=[f]))) for f in usual] + others:
        if fonts and not missing:
            break
        try:
            font = font_manager.get_font(path)
        except (OSError, RuntimeError):  # a font that is gone or that FreeType cannot read
            continue
        found = {c for c in missing if font.get_char_index(ord(c))}
        if found or not fonts:
            fonts.append(family)
            missing -= found
    return ["".join(f"U+{ord(c):04X}" if c in missing else c for c in name) for name in names], fonts
