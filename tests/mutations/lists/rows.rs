//! Tensors of rows.

use crate::Shader;

pub const SHADERS: &[Shader] = &[
    Shader {
        file: "shaders/rows/rows.wgsl",
        mutations: &[
            ("f32(number) + 0.5", "f32(number)", "rows of 41 quads"),
            ("grad_row(row) < rows.grad_rows", "true", "compact rows"),
            ("local >= tile_rows", "local > tile_rows", "rows with one moment"),
            ("elements(slot.k) < Bits(rows.width)", "Mask(true)", "partial rows"),
            ("grad_row(row) * rows.stride", "row * rows.stride", "compact rows"),
        ],
    },
    Shader { file: "shaders/rows/mask.wgsl", mutations: &[("+ candidate] != 0u", "+ candidate] == 1u", "rows")] },
    Shader { file: "shaders/rows/bits.wgsl", mutations: &[("bit % 32u", "31u - bit % 32u", "partial rows")] },
    Shader {
        file: "shaders/rows/first.wgsl",
        mutations: &[
            ("candidate < candidates()", "true", "first rows"),
            ("max(listed.count, rows.first) - rows.first", "listed.count", "cut rows"),
        ],
    },
    Shader {
        file: "shaders/rows/list.wgsl",
        mutations: &[
            ("candidate >= listed.count", "candidate > listed.count", "listed rows"),
            ("candidate] - rows.first", "candidate]", "cut rows"),
        ],
    },
    Shader {
        file: "shaders/rows/measure_list.wgsl",
        mutations: &[("count + rows.update_rows - 1u", "count", "listed rows")],
    },
    Shader {
        file: "shaders/rows/compact.wgsl",
        mutations: &[("inverse[rows.inverse_at + rows.first + row]", "inverse[rows.first + row]", "compact rows")],
    },
    Shader {
        file: "shaders/rows/row_lr.wgsl",
        mutations: &[
            ("row_lr[rows.row_lr_at + rows.first", "row_lr[rows.first", "rows with their own rates"),
            ("rows.row_lr_at + rows.first + row", "rows.row_lr_at + row", "cut rows"),
        ],
    },
    Shader {
        file: "shaders/rows/row_v.wgsl",
        mutations: &[
            ("rows.mean * within_bf16", "within_bf16", "rows with one moment"),
            ("local * rows.quads + k", "local * rows.quads", "rows with one moment"),
            ("v[own.row] = x.x", "v[own.local] = x.x", "rows with one moment"),
            ("Quad(row_moments[own.local].x)", "Quad(v[own.row])", "rows with one moment"),
        ],
    },
    Shader {
        file: "shaders/rows/row_steps.wgsl",
        mutations: &[("before + 1u, before,", "before, before,", "rows with their own steps")],
    },
    Shader {
        file: "shaders/rows/corrections.wgsl",
        mutations: &[
            ("two.zw, two.xy, i % 2u == 0u", "two.xy, two.zw, i % 2u == 0u", "rows with their own steps"),
            ("tables.beta2[i / 2u], tables.beta1", "tables.beta1[i / 2u], tables.beta1", "rows with their own steps"),
            ("rows.eps_root * correction2", "rows.eps_root", "rows with their own steps"),
            ("now.snr = coefs.w", "now.snr = s.snr", "measured rows"),
        ],
    },
    Shader {
        file: "shaders/rows/row_v_alone.wgsl",
        mutations: &[("(k - own.k) * PARAM_STEP", "k * PARAM_STEP", "measured rows")],
    },
    Shader {
        file: "shaders/rows/row_steps_alone.wgsl",
        mutations: &[("select(before + 1u, before,", "select(before, before,", "measured rows")],
    },
    Shader {
        file: "shaders/insight/of_rows.wgsl",
        mutations: &[
            ("tables.columns[slot.k] * rate_of(slot.row)", "Quad(1.0)", "measured rows"),
            ("if slot.row == NO_ROW {\n        return NOTHING", "if false {\n        return NOTHING", "measured rows"),
        ],
    },
    Shader {
        file: "shaders/rows/row_blocks.wgsl",
        mutations: &[
            ("own.row * rows.blocks + own.k / BLOCK_QUADS", "own.row * rows.blocks", "rows in blocks"),
            ("own.k % BLOCK_QUADS == 0u", "own.k == 0u", "rows in blocks"),
        ],
    },
    Shader {
        file: "shaders/rows/place.wgsl",
        mutations: &[
            ("(rows.first + slot.row) * rows.width", "slot.row * rows.width", "rows in blocks, cut"),
            ("+ element - state * LANES", "- state * LANES", "rows in blocks"),
        ],
    },
    Shader {
        file: "shaders/update/update_rows.wgsl",
        mutations: &[
            ("tables.columns[own.k] * rate_of", "rate_of", "rows"),
            ("rate * (decay_of", "(decay_of", "rows"),
            ("grads.quad = own.grad", "grads.quad = 0u", "listed rows whose gradients are set to zero"),
        ],
    },
    Shader {
        file: "shaders/update/update_joined.wgsl",
        mutations: &[
            ("let rate = tables.columns[k - before];", "let rate = Quad(1.0);", "joined rows"),
            ("tile * SLOTS % rows.joined_quads + number", "number", "joined rows"),
            ("rows.joined_grad + quad", "quad", "joined rows"),
            ("region.begin / LANES + quad", "quad", "joined rows"),
            ("+ rows.first * rows.width", "", "joined rows, cut"),
            ("rate * (decay_of", "(decay_of", "joined rows"),
            ("apply(s, tile, at + 3u * LINE)", "apply(s, tile, at + 2u * LINE)", "joined rows"),
        ],
    },
    Shader {
        file: "shaders/update/update_rows_shared.wgsl",
        mutations: &[
            ("tables.columns[own.k] * rate_of", "rate_of", "rows with one moment"),
            ("rate * (decay_of", "(decay_of", "rows with one moment"),
            ("slot.local * rows.blocks + slot.k / BLOCK_QUADS", "slot.local * rows.blocks", "rows in blocks"),
            ("grads.quad = own.grad", "grads.quad = 0u", "rows in blocks"),
            ("index < rows.update_rows", "index + 1u < rows.update_rows", "rows with one moment"),
            ("place.mask);", "Mask(true));", "rows with one moment"),
        ],
    },
    Shader {
        file: "shaders/norm/norm_rows.wgsl",
        mutations: &[
            (
                "tile += region.tiles) {\n        for (var k = 0u; k < QUADS; k++) {\n            seen",
                "tile += 2u * region.tiles) {\n        for (var k = 0u; k < QUADS; k++) {\n            seen",
                "many rows",
            ),
            ("load_grad(slot.grad), mask_of(slot)", "load_grad(slot.grad), Mask(true)", "partial rows"),
            ("region.begin + slot.row", "slot.row", "huge gradients of rows"),
            ("mine.big = sum(squares)", "mine.small = sum(squares)", "huge gradients of rows"),
            ("select(UP, DOWN, top >= BIG)", "DOWN", "tiny gradients of rows"),
        ],
    },
    Shader {
        file: "shaders/access/elements_half.wgsl",
        mutations: &[("(before ^ after) << ((at & 1u) * 16u)", "(before ^ after)", "partial rows in f16")],
    },
    Shader {
        file: "shaders/access/elements_f32.wgsl",
        mutations: &[("if place.mask.w { m[at", "if place.mask.z { m[at", "partial rows")],
    },
    Shader {
        file: "shaders/rows/gather_rows.wgsl",
        mutations: &[
            ("taken < moved.from_rows", "taken <= moved.from_rows", "moved rows"),
            ("old >= moved.total", "old > moved.total", "moved rows"),
            ("+ unit % moved.units", "", "moved rows"),
            ("moved.source_at + moved.first + row", "moved.source_at + row", "cut rows"),
        ],
    },
    Shader {
        file: "shaders/rows/zero_rows.wgsl",
        mutations: &[
            ("min(moved.rows, list_count[moved.count_at])", "moved.rows", "moved rows"),
            ("+ i] - moved.from_first", "+ i]", "cut rows"),
        ],
    },
];
