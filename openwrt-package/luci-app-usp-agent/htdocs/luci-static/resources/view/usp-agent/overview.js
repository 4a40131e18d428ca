'use strict';
'require view';
'require form';
'require fs';
'require poll';
'require rpc';
'require uci';
'require ui';

/* What the page shows comes from the agent's object on ubus; what it changes goes into /etc/config/usp-agent. Passwords
   are never put into the page: a stored one is replaced by MASK, and put back when the rest of its address changes.
   What comes from elsewhere is a child in a list: LuCI reads a child that is a string as HTML. */

const PROGRAM = '/usr/sbin/usp-agent';
const MASK = '***';
/* Lines of messages that stay in the page. */
const MAX_TRACE_LINES = 500;
/* user:password@ of an address; a password may hold an @. */
const PASSWORD = /^((?:listen )?[a-z]+:\/\/[^:@\/]*:)([^\/]*)(@[^@\/]*(?:\/.*)?)$/;
const ADDRESS = /^(?:(?:listen )?wss?:\/\/[^\s\/]|mqtts?:\/\/[^\s\/]|stomps?:\/\/[^\s\/]|(?:listen )?unix:\/\/\/\S)/;
const UNENCRYPTED = /^(?:listen )?(?:mqtt|stomp|ws):/;

const callStatus = rpc.declare({ object: 'usp-agent', method: 'status' });
const callConfirm = rpc.declare({ object: 'usp-agent', method: 'confirm' });
const callRevert = rpc.declare({ object: 'usp-agent', method: 'revert' });
const callApprove = rpc.declare({ object: 'usp-agent', method: 'approve', params: [ 'controller', 'role' ] });

/* The answer, or an Error with what the agent or ubus says against it. */
function answer(call) {
	return call.then(function(data) {
		if (L.isObject(data) && data.error)
			throw new Error(data.error.message);
		if (!L.isObject(data) && data)
			throw new Error(rpc.getStatusText(data));
		return data || {};
	});
}

/* The agent's state; null where nobody answers. */
function status() {
	return answer(callStatus()).then(function(data) {
		return Array.isArray(data.controllers) ? data : null;
	}).catch(function() {
		return null;
	});
}

function complain(error) {
	ui.addNotification(null, E('p', {}, [ error.message || String(error) ]), 'danger');
}

function duration(seconds) {
	if (seconds < 60)
		return _('%d s').format(seconds);
	if (seconds < 3600)
		return _('%d min').format(seconds / 60);
	if (seconds < 172800)
		return _('%d h').format(seconds / 3600);
	return _('%d days').format(seconds / 86400);
}

function stateName(state) {
	switch (state) {
	case 'connected': return _('connected');
	case 'connecting': return _('connecting');
	case 'listening': return _('listening');
	case 'waiting': return _('not connected, tries again');
	case 'failed': return _('not connected');
	default: return state;
	}
}

function masked(url) {
	return (url != null) ? String(url).replace(PASSWORD, '$1' + MASK + '$3') : url;
}

/* An address as it is stored, of one that the page has shown. */
function unmasked(url, stored) {
	const shown = PASSWORD.exec(url), old = PASSWORD.exec(stored || '');
	return (shown && old && shown[2] === MASK) ? shown[1] + old[2] + shown[3] : url;
}

function roleNames() {
	const own = uci.sections('usp-agent', 'role').map(function(section) { return section['.name']; });
	return [ 'untrusted', 'readonly', 'full' ].concat(own).filter(function(name, at, all) {
		return all.indexOf(name) === at;
	});
}

function isUntrusted(controller) {
	return controller.roles.every(function(role) { return role === 'untrusted'; });
}

return view.extend({
	load: function() {
		return Promise.all([ status(), uci.load('usp-agent') ]);
	},

	render: function(loaded) {
		const view = this;

		this.state = E('div', { 'id': 'usp-agent-state' }, this.renderState(loaded[0]));
		this.messages = E('pre', { 'id': 'usp-agent-messages', 'style': 'display:none;max-height:20em;overflow:auto' });

		poll.add(function() {
			return view.refresh();
		}, 5);

		return this.renderForm().then(function(nodes) {
			return E('div', {}, [
				E('h2', {}, _('USP agent')),
				view.state,
				nodes,
				E('div', { 'class': 'cbi-section' }, [
					E('h3', {}, _('Messages')),
					E('p', {}, _('USP messages from and to the controllers as they come. Passwords are masked.')),
					E('button', {
						'class': 'btn cbi-button',
						'click': function(ev) { view.watch(ev.currentTarget); }
					}, _('Watch')),
					view.messages
				])
			]);
		});
	},

	refresh: function() {
		const view = this;

		return status().then(function(data) {
			L.dom.content(view.state, view.renderState(data));
		});
	},

	renderState: function(data) {
		if (!data)
			return [ E('div', { 'class': 'alert-message warning' },
				_('The agent does not answer. Start it under System, Startup; the system log says why it ended.')) ];

		const rows = [];
		data.controllers.forEach(L.bind(function(controller) {
			const links = controller.links.length ? controller.links : [ null ];
			links.forEach(L.bind(function(link, at) {
				rows.push(this.renderLink(controller, link, at === 0));
			}, this));
		}, this));

		if (!rows.length)
			rows.push(E('tr', { 'class': 'tr placeholder' },
				E('td', { 'class': 'td', 'colspan': 6 }, E('em', {}, _('No controller yet: add one below.')))));

		const titles = [ _('Controller'), _('State'), _('Since'), _('Address'), _('Last error'), '' ];
		return [
			E('p', {}, [ _('%s, version %s, running for %s').format(data.endpoint_id, data.version, duration(data.uptime)) ]),
			this.renderTrial(data.on_trial),
			this.renderWarnings(data.controllers),
			E('table', { 'class': 'table' }, [
				E('tr', { 'class': 'tr table-titles' }, titles.map(function(title) {
					return E('th', { 'class': 'th' }, title);
				}))
			].concat(rows))
		];
	},

	renderLink: function(controller, link, isFirst) {
		const state = !controller.enabled ? _('disabled') : (link ? stateName(link.state) : _('no address'));
		const next = (link && link.next_try_seconds != null)
			? E('div', {}, _('next try in %s').format(duration(link.next_try_seconds))) : '';
		const waiting = (isFirst && controller.notifications_waiting)
			? E('div', {}, _('%d notifications wait').format(controller.notifications_waiting)) : '';

		return E('tr', { 'class': 'tr', 'data-controller': controller.section, 'data-state': link ? link.state : '' }, [
			E('td', { 'class': 'td' }, isFirst ? [
				E('strong', {}, [ controller.section ]), E('div', {}, [ controller.endpoint_id ]),
				E('div', {}, [ controller.roles.join(', ') || _('no role') ])
			] : ''),
			E('td', { 'class': 'td' }, [ state, next, waiting ]),
			E('td', { 'class': 'td' }, link ? duration(link.state_seconds) : ''),
			E('td', { 'class': 'td' }, [ link ? link.address : '' ]),
			E('td', { 'class': 'td' }, [ (link && link.last_error) || '' ]),
			E('td', { 'class': 'td' }, isFirst ? this.renderActions(controller) : '')
		]);
	},

	renderActions: function(controller) {
		const actions = [ E('button', {
			'class': 'btn cbi-button cbi-button-action',
			'click': ui.createHandlerFn(this, 'test', controller.section)
		}, _('Test')) ];

		if (isUntrusted(controller))
			actions.push(' ', E('button', {
				'class': 'btn cbi-button cbi-button-positive',
				'click': ui.createHandlerFn(this, 'askRole', controller)
			}, _('Approve…')));

		return actions;
	},

	renderTrial: function(trial) {
		if (!trial)
			return '';

		const text = trial.waits_for.length
			? _('A change of %s is on trial. It is undone in %s unless %s is heard of again.').format(
				trial.packages.join(', '), duration(trial.seconds_left), trial.waits_for.join(', '))
			: _('A change of %s is on trial. It is undone in %s.').format(
				trial.packages.join(', '), duration(trial.seconds_left));

		return E('div', { 'class': 'alert-message notice', 'id': 'usp-agent-trial' }, [
			E('p', {}, [ text ]),
			E('button', {
				'class': 'btn cbi-button cbi-button-positive',
				'click': ui.createHandlerFn(this, 'decide', callConfirm)
			}, _('Keep the change')),
			' ',
			E('button', {
				'class': 'btn cbi-button cbi-button-negative',
				'click': ui.createHandlerFn(this, 'decide', callRevert)
			}, _('Undo the change'))
		]);
	},

	renderWarnings: function(controllers) {
		const plain = controllers.filter(function(controller) {
			return controller.enabled && controller.roles.indexOf('full') >= 0 &&
				controller.links.some(function(link) { return UNENCRYPTED.test(link.address); });
		});

		return E('div', {}, plain.map(function(controller) {
			return E('div', { 'class': 'alert-message warning', 'data-warning': controller.section },
				[ (controller.allow_unencrypted
					? _('%s has the role full on a link without encryption: whoever is on the way can take over this router. Use mqtts, stomps or wss.')
					: _('%s has the role full, but its link has no encryption: it counts as untrusted there. Use mqtts, stomps or wss.')
				).format(controller.section) ]);
		}));
	},

	decide: function(call) {
		return answer(call()).catch(complain).then(L.bind(this.refresh, this));
	},

	askRole: function(controller) {
		const roles = roleNames().filter(function(name) { return name !== 'untrusted'; });
		const choice = E('select', { 'class': 'cbi-input-select', 'id': 'usp-agent-role' }, roles.map(function(name) {
			return E('option', { 'value': name }, [ name ]);
		}));

		ui.showModal(_('Approve %s').format(controller.section), [
			E('p', {}, [ _('%s gets this role. full may change everything on this router.').format(controller.endpoint_id) ]),
			choice,
			E('div', { 'class': 'right' }, [
				E('button', { 'class': 'btn', 'click': ui.hideModal }, _('Cancel')),
				' ',
				E('button', {
					'class': 'btn cbi-button cbi-button-positive',
					'click': ui.createHandlerFn(this, function() { return this.approve(controller, choice.value); })
				}, _('Approve'))
			])
		]);
	},

	approve: function(controller, role) {
		return answer(callApprove(controller.section, role)).then(function() {
			/* The agent has written the role into the configuration that the form below shows. */
			uci.unload('usp-agent');
			return this.map.load().then(L.bind(this.map.reset, this.map));
		}.bind(this)).catch(complain).then(function() {
			ui.hideModal();
			return this.refresh();
		}.bind(this));
	},

	test: function(section) {
		ui.showModal(_('Test of %s').format(section), [
			E('p', { 'class': 'spinning' }, _('Looking at every step on the way to the controller…'))
		]);

		return fs.exec(PROGRAM, [ 'doctor', section ]).then(function(ran) {
			/* 2: the command line is not understood. */
			if (ran.code === 2)
				return _('This version of the agent has no test of controllers. Upgrade the package usp-agent.');
			return [ ran.stdout, ran.stderr ].filter(Boolean).join('\n').trim() || _('The test ended without a word (exit code %d).').format(ran.code);
		}).catch(function(error) {
			switch (error.name) {
			case 'NotFoundError': return _('%s is missing. Install the package usp-agent.').format(PROGRAM);
			case 'PermissionError': return _('You may not run this test.');
			case 'TimeoutError': return _('The test took too long. Run it in a shell: usp-agent doctor %s').format(section);
			default: return error.message;
			}
		}).then(function(text) {
			ui.showModal(_('Test of %s').format(section), [
				E('pre', { 'id': 'usp-agent-test' }, [ text ]),
				E('div', { 'class': 'right' }, E('button', { 'class': 'btn', 'click': ui.hideModal }, _('Close')))
			]);
		});
	},

	/* Shows messages until it is pressed again; each call lasts ten seconds. */
	watch: function(button) {
		this.watching = !this.watching;
		L.dom.content(button, this.watching ? _('Stop') : _('Watch'));
		this.messages.style.display = '';

		const view = this, lines = [];
		const next = function() {
			if (!view.watching || !document.body.contains(view.messages))
				return null;
			return fs.exec(PROGRAM, [ 'trace', '--seconds', '10' ]).then(function(ran) {
				if (ran.code !== 0)
					throw new Error(ran.stderr || _('Exit code %d').format(ran.code));
				lines.push.apply(lines, (ran.stdout || '').split('\n').filter(Boolean));
				lines.splice(0, Math.max(0, lines.length - MAX_TRACE_LINES));
				L.dom.content(view.messages, [ lines.length ? lines.join('\n') : _('No message yet.') ]);
				return next();
			});
		};

		if (!this.watching)
			return null;
		L.dom.content(this.messages, _('Shown every ten seconds…'));
		return next().catch(function(error) {
			view.watching = false;
			L.dom.content(button, _('Watch'));
			complain(error);
		});
	},

	renderForm: function() {
		const m = this.map = new form.Map('usp-agent');
		const s = m.section(form.GridSection, 'controller', _('Controllers'),
			_('Who may manage this router. A controller needs an address, its endpoint id and a role.'));
		s.addremove = true;
		s.nodescriptions = true;
		s.modaltitle = function(section) { return _('Controller %s').format(section); };

		let o = s.option(form.Flag, 'Enable', _('Enabled'));
		o.default = o.enabled;
		o.editable = true;

		o = s.option(form.Value, 'url', _('Address'),
			_('mqtts://host, stomps://host/destination, wss://host/path, unix:///path, or “listen wss://[::]:8183/usp” for one that connects to this router.'));
		o.placeholder = 'mqtts://user:password@acs.example.net';
		o.load = function(section) { return masked(uci.get('usp-agent', section, 'url')); };
		o.write = function(section, url) {
			return uci.set('usp-agent', section, 'url', unmasked(url, uci.get('usp-agent', section, 'url')));
		};
		o.validate = function(section, url) {
			return (!url || ADDRESS.test(url)) ? true : _('This is no address: begin with mqtts://, stomps://, wss:// or unix:///');
		};

		o = s.option(form.Value, 'EndpointID', _('Endpoint id'));
		o.placeholder = 'proto::acs.example.net';
		o.validate = function(section, id) {
			if (id)
				return id.length <= 255 && !/[\s\/]/.test(id) ? true : _('An endpoint id has no blanks, no slash and at most 255 characters.');
			return this.section.formvalue(section, 'preset') === 'oktopus' ? true : _('A controller needs its endpoint id.');
		};

		o = s.option(form.MultiValue, 'role', _('Role'),
			_('readonly may look, full may change everything, untrusted sees next to nothing.'));
		roleNames().forEach(function(name) { o.value(name, name); });

		o = s.option(form.ListValue, 'preset', _('Kind'), _('The topics, paths and manners this kind of controller expects.'));
		o.value('', _('any'));
		o.value('oktopus', 'Oktopus');
		o.load = function(section) {
			const preset = uci.get('usp-agent', section, 'preset');
			return (preset === 'plain') ? null : preset;
		};
		o.modalonly = true;

		o = s.option(form.Value, 'Username', _('User name'), _('At the broker.'));
		o.modalonly = true;

		o = s.option(form.Value, 'Password', _('Password'),
			_('Not shown. Left empty, the stored one stays; it goes when the user name is emptied.'));
		o.modalonly = true;
		o.password = true;
		const users = {};
		o.load = function(section) {
			users[section] = uci.get('usp-agent', section, 'Username');
			return null;
		};
		o.remove = function(section) {
			/* A password without a user name is that of a user in the address. */
			if (users[section] && !this.section.formvalue(section, 'Username'))
				return uci.unset('usp-agent', section, 'Password');
		};

		o = s.option(form.Flag, 'AllowUnencrypted', _('Trust without encryption'),
			_('Grants the role on a link without TLS too. For a lab only: whoever is on the way can take over this router.'));
		o.modalonly = true;

		[
			[ 'ca_file', _('Authorities'), _('PEM file of trusted authorities instead of the system’s.') ],
			[ 'certificate', _('Own certificate'), _('PEM file.') ],
			[ 'key', _('Private key'), _('PEM file.') ]
		].forEach(function(file) {
			o = s.option(form.Value, file[0], file[1], file[2]);
			o.modalonly = true;
			o.placeholder = '/etc/ssl/…';
			o.validate = function(section, path) {
				return (!path || path.charAt(0) === '/') ? true : _('Give the absolute path of a file.');
			};
		});

		return m.render();
	}
});
