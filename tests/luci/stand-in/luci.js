/* Stands for LuCI's base classes, as far as the agent's page uses them, by their documented behaviour:
   https://openwrt.github.io/luci/jsapi/. Each class says in a line what it keeps of the original. */
'use strict';

/* %s, %d, %h (escaped for HTML). */
String.prototype.format = function(...args) {
	return this.replace(/%([sdhq%])/g, (whole, kind) => {
		if (kind === '%')
			return '%';
		const value = args.shift();
		switch (kind) {
		case 'd': return String(parseInt(value, 10));
		case 'h': return String(value).replace(/[<>&"']/g, c => '&#%d;'.format(c.charCodeAt(0)));
		default: return value == null ? '' : String(value);
		}
	});
};

window._ = text => text;

/* E(tag, attributes, children): a list of children holds nodes and texts, a single string is HTML. */
window.E = function(tag, attributes, children) {
	if (children === undefined && (typeof attributes !== 'object' || Array.isArray(attributes) || attributes instanceof Node))
		[ attributes, children ] = [ {}, attributes ];
	const node = document.createElement(tag);
	for (const [ name, value ] of Object.entries(attributes || {})) {
		if (typeof value === 'function')
			node.addEventListener(name, value);
		else if (value != null)
			node.setAttribute(name, value);
	}
	dom.append(node, children);
	return node;
};

const dom = {
	append(node, children) {
		if (Array.isArray(children))
			children.forEach(child => {
				if (child instanceof Node)
					node.appendChild(child);
				else if (child != null)
					node.appendChild(document.createTextNode(String(child)));
			});
		else if (children instanceof Node)
			node.appendChild(children);
		else if (children != null)
			node.innerHTML = String(children);
		return node.lastChild;
	},
	content(node, children) {
		node.textContent = '';
		return dom.append(node, children);
	}
};

/* rpc.declare: JSON-RPC on /ubus; the answer is the data, or the status where ubus sends nothing else. */
const STATUS = [ 'Command OK', 'Invalid command', 'Invalid argument', 'Method not found', 'Resource not found',
	'No data received', 'Permission denied', 'Request timeout', 'Not supported', 'Unspecified error', 'Connection lost' ];
let lastId = 0;

const rpc = {
	declare(options) {
		return async function(...args) {
			const params = {};
			(options.params || []).forEach((name, at) => params[name] = args[at]);
			const reply = await fetch(L.env.ubuspath, {
				method: 'POST',
				headers: { 'Content-Type': 'application/json' },
				body: JSON.stringify({ jsonrpc: '2.0', id: ++lastId, method: 'call',
					params: [ L.env.sessionid, options.object, options.method, params ] })
			});
			const message = await reply.json();
			if (message.error)
				throw new Error('RPC call to %s/%s failed with error %d: %s'.format(
					options.object, options.method, message.error.code, message.error.message));
			if (options.reject && message.result[0] !== 0)
				throw new Error('RPC call to %s/%s failed with ubus code %d: %s'.format(
					options.object, options.method, message.result[0], rpc.getStatusText(message.result[0])));
			let data = message.result.length > 1 ? message.result[1] : message.result[0];
			for (const key in options.expect || {}) {
				data = data != null && key !== '' ? data[key] : data;
				if (Object.prototype.toString.call(data) !== Object.prototype.toString.call(options.expect[key]))
					data = options.expect[key];
			}
			return data;
		};
	},
	getStatusText: code => STATUS[code] || 'Unknown error code'
};

/* fs.exec: `file exec` of rpcd; a refusal is an Error with a name. */
const callExec = rpc.declare({ object: 'file', method: 'exec', params: [ 'command', 'params', 'env' ] });
const FS_ERRORS = { 4: 'NotFoundError', 6: 'PermissionError', 7: 'TimeoutError' };

const fs = {
	async exec(command, params) {
		const ran = await callExec(command, params, null);
		if (typeof ran === 'number' && ran !== 0)
			throw Object.assign(new Error(rpc.getStatusText(ran)), { name: FS_ERRORS[ran] || 'Error' });
		return ran;
	}
};

/* poll.add: at once, then every so many seconds, one call at a time. */
const poll = {
	add(call, seconds) {
		const again = () => Promise.resolve(call()).finally(() => setTimeout(again, (seconds || 5) * 1000));
		again();
	}
};

/* uci: a copy of the packages, changes kept aside until save() stages them at rpcd. */
const callGet = rpc.declare({ object: 'uci', method: 'get', params: [ 'config' ], expect: { values: {} }, reject: true });
const callSet = rpc.declare({ object: 'uci', method: 'set', params: [ 'config', 'section', 'values' ], reject: true });
const callAdd = rpc.declare({ object: 'uci', method: 'add', params: [ 'config', 'type', 'name', 'values' ], reject: true });
const callDelete = rpc.declare({ object: 'uci', method: 'delete', params: [ 'config', 'section', 'options' ], reject: true });

const uci = {
	values: {}, changes: {}, added: {}, gone: {},
	async load(config) {
		if (!uci.values[config])
			uci.values[config] = await callGet(config);
	},
	unload(config) { [ uci.values, uci.changes, uci.added, uci.gone ].forEach(part => delete part[config]); },
	get(config, section, option) {
		if ((uci.gone[config] || {})[section])
			return null;
		const changed = (uci.changes[config] || {})[section] || {};
		if (option in changed)
			return changed[option];
		const stored = (uci.added[config] || {})[section] || (uci.values[config] || {})[section];
		return stored == null ? null : option == null ? stored : stored[option];
	},
	set(config, section, option, value) {
		const changes = uci.changes[config] = uci.changes[config] || {};
		(changes[section] = changes[section] || {})[option] = value === '' ? null : value;
	},
	unset(config, section, option) { uci.set(config, section, option, null); },
	add(config, type, name) {
		(uci.added[config] = uci.added[config] || {})[name] = { '.name': name, '.type': type, '.anonymous': false };
		return name;
	},
	remove(config, section) { (uci.gone[config] = uci.gone[config] || {})[section] = true; },
	sections(config, type) {
		const all = Object.values(uci.values[config] || {}).concat(Object.values(uci.added[config] || {}));
		return all.filter(section => (!type || section['.type'] === type) && !(uci.gone[config] || {})[section['.name']])
			.sort((a, b) => (a['.index'] ?? 999) - (b['.index'] ?? 999));
	},
	async save() {
		for (const config of Object.keys(uci.values)) {
			for (const name in uci.added[config] || {})
				await callAdd(config, uci.added[config][name]['.type'], name, {});
			for (const [ section, changed ] of Object.entries(uci.changes[config] || {})) {
				const set = Object.fromEntries(Object.entries(changed).filter(([ , value ]) => value != null));
				const unset = Object.keys(changed).filter(name => changed[name] == null && (uci.values[config][section] || {})[name] != null);
				if (Object.keys(set).length)
					await callSet(config, section, set);
				if (unset.length)
					await callDelete(config, section, unset);
			}
			for (const section in uci.gone[config] || {})
				await callDelete(config, section);
			uci.unload(config);
			await uci.load(config);
		}
	}
};

/* ui: one modal dialogue, notifications at the top, buttons that wait for what they started. */
const ui = {
	showModal(title, children) {
		const overlay = document.getElementById('modal_overlay');
		dom.content(overlay, [ E('div', { 'class': 'modal', 'role': 'dialog' }, [ E('h4', {}, title) ]) ]);
		dom.append(overlay.firstChild, children);
		document.body.classList.add('modal-overlay-active');
		return overlay.firstChild;
	},
	hideModal() {
		const overlay = document.getElementById('modal_overlay');
		document.body.classList.remove('modal-overlay-active');
		dom.content(overlay, null);
	},
	addNotification(title, children, kind) {
		const node = E('div', { 'class': 'alert-message %s'.format(kind || '') }, title ? [ E('h4', {}, title) ] : []);
		dom.append(node, Array.isArray(children) ? children : [ children ]);
		document.getElementById('view').before(node);
		return node;
	},
	createHandlerFn(context, handler, ...args) {
		const call = typeof handler === 'function' ? handler : context[handler];
		return event => {
			const button = event.currentTarget;
			button.disabled = true;
			return Promise.resolve(call.apply(context, args.concat(event))).finally(() => button.disabled = false);
		};
	},
	async instantiateView(path) {
		const module = await (await fetch('%s/view/%s.js'.format(L.env.resource, path))).text();
		const required = [ ...module.matchAll(/^'require (\w+)'/gm) ].map(found => found[1]);
		const make = new Function('L', 'E', '_', ...required, module);
		const instance = Object.create(make(L, E, _, ...required.map(name => classes[name])));
		await instance.show();
	}
};

/* view: load(), render(), and a foot with Save & Apply and Save. */
const view = {
	extend: properties => Object.assign(Object.create(view), properties),
	load() {},
	render() {},
	async show() {
		const place = document.getElementById('view');
		dom.content(place, [ await this.render(await this.load()) ]);
		if (this.handleSave)
			dom.append(place, E('div', { 'class': 'cbi-page-actions' }, [
				E('button', { 'class': 'btn cbi-button-apply important', 'click': ui.createHandlerFn(this, 'handleSaveApply') }, 'Save & Apply'),
				E('button', { 'class': 'btn cbi-button-save', 'click': ui.createHandlerFn(this, 'handleSave') }, 'Save')
			]));
	},
	handleSave() { return Promise.all([ ...document.querySelectorAll('.cbi-map') ].map(node => node.map.save())); },
	async handleSaveApply() {
		await this.handleSave();
		for (const step of [ 'apply_rollback', 'confirm' ])
			await fetch('%s/admin/uci/%s'.format(L.env.scriptname, step), { method: 'POST' });
		window.location.reload();
	}
};

/* form: a Map of sections of options. An option is written where what is in the field differs from what was loaded;
   an empty field, and a Flag with its default, removes it. */
class Value {
	constructor(map, section, option, title, description) {
		Object.assign(this, { map, section, option, title, description, rmempty: true, default: null, choices: [], loaded: {} });
		this.config = map.config;
	}
	value(key, label) { this.choices.push([ key, label ?? key ]); }
	load(section) { return uci.get(this.config, section, this.option); }
	cfgvalue(section) { return this.loaded[section] ?? null; }
	textvalue(section) {
		const value = this.cfgvalue(section) ?? this.default;
		return value == null ? null : '%h'.format(Array.isArray(value) ? value.join(' ') : value);
	}
	write(section, value) { return uci.set(this.config, section, this.option, value); }
	remove(section) { return uci.unset(this.config, section, this.option); }
	validate() { return true; }
	field(section) { return 'widget.cbid.%s.%s.%s'.format(this.config, section, this.option); }
	input(section) { return this.root.querySelector('[id="%s"]'.format(this.field(section))); }
	widget(section) {
		const value = this.cfgvalue(section) ?? this.default ?? '';
		return E('input', { 'id': this.field(section), 'type': this.password ? 'password' : 'text', 'value': value, 'placeholder': this.placeholder });
	}
	formvalue(section) { return this.input(section)?.value ?? null; }
	async parse(section) {
		if (!this.input(section))
			return;
		const value = this.formvalue(section), valid = this.validate(section, value ?? '');
		if (valid !== true)
			throw new Error('%s: %s'.format(this.title, valid));
		if (value != null && value.length)
			return String(value) === String(this.cfgvalue(section) ?? '') ? undefined : this.write(section, value);
		return this.remove(section);
	}
}

class Flag extends Value {
	constructor(...args) { super(...args); Object.assign(this, { enabled: '1', disabled: '0', default: '0' }); }
	textvalue(section) { return (this.cfgvalue(section) ?? this.default) === this.enabled ? 'Yes' : 'No'; }
	widget(section) {
		const checked = (this.cfgvalue(section) ?? this.default) === this.enabled ? '' : null;
		return E('input', { 'id': this.field(section), 'type': 'checkbox', 'checked': checked });
	}
	formvalue(section) { return this.input(section).checked ? this.enabled : this.disabled; }
	async parse(section) {
		if (!this.input(section))
			return;
		const value = this.formvalue(section);
		return value === this.default && this.rmempty ? this.remove(section) : this.write(section, value);
	}
}

class ListValue extends Value {
	widget(section) {
		const chosen = [ this.cfgvalue(section) ?? this.default ].flat();
		return E('select', { 'id': this.field(section), 'multiple': this.multiple ? '' : null }, this.choices.map(([ key, label ]) =>
			E('option', { 'value': key, 'selected': chosen.includes(key) ? '' : null }, [ label ])));
	}
}

class MultiValue extends ListValue {
	constructor(...args) { super(...args); this.multiple = true; }
	formvalue(section) { return [ ...this.input(section).selectedOptions ].map(option => option.value); }
}

class GridSection {
	constructor(map, type, title, description) {
		Object.assign(this, { map, sectiontype: type, title, description, children: [], config: map.config });
	}
	option(kind, ...args) {
		const option = new kind(this.map, this, ...args);
		this.children.push(option);
		return option;
	}
	sections() { return uci.sections(this.config, this.sectiontype).map(section => section['.name']); }
	formvalue(section, name) {
		const option = this.children.find(child => child.option === name);
		return option.root && option.input(section) ? option.formvalue(section) : null;
	}
	async load() {
		for (const section of this.sections())
			for (const option of this.children)
				option.loaded[section] = await option.load(section);
	}
	parse() {
		return Promise.all(this.sections().flatMap(section => this.children.filter(option => option.editable)
			.map(option => { option.root = this.map.root; return option.parse(section); })));
	}
	render() {
		const shown = this.children.filter(option => !option.modalonly);
		const cell = (option, section) => E('td', { 'class': 'td', 'data-name': option.option },
			option.editable ? [ option.widget(section) ] : option.textvalue(section) ?? E('em', {}, 'none'));
		const row = section => E('tr', { 'class': 'tr cbi-section-table-row', 'data-sid': section },
			[ E('td', { 'class': 'td' }, [ section ]) ].concat(shown.map(option => cell(option, section)), E('td', { 'class': 'td cbi-section-actions' }, [
				E('button', { 'class': 'btn cbi-button-edit', 'click': ui.createHandlerFn(this, 'edit', section) }, 'Edit'),
				E('button', { 'class': 'btn cbi-button-remove', 'click': ui.createHandlerFn(this, 'drop', section) }, 'Delete')
			])));
		const name = E('input', { 'class': 'cbi-section-create-name', 'type': 'text' });
		return E('div', { 'class': 'cbi-section' }, [
			E('h3', {}, this.title), E('div', { 'class': 'cbi-section-descr' }, this.description),
			E('table', { 'class': 'table cbi-section-table' }, [ E('tr', { 'class': 'tr' }, [ 'Name' ].concat(shown.map(option => option.title), '')
				.map(title => E('th', { 'class': 'th' }, [ title ]))) ].concat(this.sections().map(row))),
			E('div', { 'class': 'cbi-section-create' }, [ name, E('button', { 'class': 'btn cbi-button-add',
				'click': ui.createHandlerFn(this, () => this.edit(uci.add(this.config, this.sectiontype, name.value))) }, 'Add') ])
		]);
	}
	async drop(section) {
		uci.remove(this.config, section);
		await uci.save();
		return this.map.reset();
	}
	async edit(section) {
		await this.load();
		const fields = E('div', { 'class': 'cbi-map' }, this.children.map(option => E('div', { 'class': 'cbi-value' }, [
			E('label', { 'class': 'cbi-value-title' }, [ option.title ]), option.widget(section),
			E('div', { 'class': 'cbi-value-description' }, option.description)
		])));
		const save = async () => {
			this.children.forEach(option => option.root = fields);
			try {
				for (const option of this.children)
					await option.parse(section);
			}
			catch (error) {
				return ui.addNotification(null, E('p', {}, [ error.message ]), 'danger');
			}
			await uci.save();
			ui.hideModal();
			await this.map.load();
			return this.map.reset();
		};
		fields.map = { save };
		ui.showModal(this.modaltitle(section), [ fields, E('div', { 'class': 'right' }, [
			E('button', { 'class': 'btn', 'click': ui.hideModal }, 'Dismiss'),
			E('button', { 'class': 'btn cbi-button-positive important', 'click': ui.createHandlerFn(this, save) }, 'Save')
		]) ]);
	}
}

class FormMap {
	constructor(config, title, description) {
		Object.assign(this, { config, title, description, children: [] });
		this.root = E('div', { 'class': 'cbi-map', 'id': 'cbi-%s'.format(config) }, []);
		this.root.map = this;
	}
	section(kind, ...args) {
		const section = new kind(this, ...args);
		this.children.push(section);
		return section;
	}
	async load() {
		await uci.load(this.config);
		await Promise.all(this.children.map(section => section.load()));
	}
	reset() {
		dom.content(this.root, this.children.map(section => section.render()));
		return Promise.resolve(this.root);
	}
	render() { return this.load().then(() => this.reset()); }
	async save() {
		await Promise.all(this.children.map(section => section.parse()));
		await uci.save();
		await this.load();
		return this.reset();
	}
}

const form = { Map: FormMap, GridSection, Value, Flag, ListValue, MultiValue };
const classes = { view, form, fs, poll, rpc, uci, ui };

window.LuCI = function(env) {
	return {
		env, dom,
		require: name => Promise.resolve(classes[name]),
		bind: (call, context, ...args) => call.bind(context, ...args),
		isObject: value => value != null && typeof value === 'object',
		toArray: value => value == null ? [] : Array.isArray(value) ? value : String(value).trim().split(/\s+/)
	};
};
